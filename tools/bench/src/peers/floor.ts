import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Appends of `sizeBytes` a second to one file, each followed by its own fdatasync: the disk's own pace. */
export async function syncedAppends(
  directory: string,
  sizeBytes: number,
  seconds: number,
): Promise<number> {
  const scratch = mkdtempSync(join(directory, 'bench-'))
  const file = await open(join(scratch, 'log'), 'w')
  const bytes = Buffer.alloc(sizeBytes, 0x5a)
  const until = performance.now() + seconds * 1000
  let count = 0
  while (performance.now() < until) {
    await file.write(bytes)
    await file.datasync()
    count++
  }
  await file.close()
  rmSync(scratch, { recursive: true })
  return count / seconds
}

/** A Fastify server in a process of its own that answers every request with 256 bytes of JSON. */
export async function bareServer(): Promise<{ url: URL; stop: () => void }> {
  const { line, stop } = await serving('../bare-server.ts')
  return { url: new URL(line), stop }
}

export interface LayerServer {
  readonly url: URL
  readonly pid: number
  /** What a request must say. */
  readonly authorization: string | undefined
  readonly stop: () => void
}

/** A server in a process of its own that takes a write: see `layer-server.ts`. */
export async function layerServer(
  layer: string,
  execArgv: readonly string[],
): Promise<LayerServer> {
  const { line, pid, stop } = await serving('../layer-server.ts', [layer], execArgv)
  const { url, authorization } = JSON.parse(line) as { url: string; authorization?: string }
  return { url: new URL(url), pid, authorization, stop }
}

async function serving(
  program: string,
  args: readonly string[] = [],
  execArgv: readonly string[] = [],
): Promise<{ readonly line: string; readonly pid: number; readonly stop: () => void }> {
  const command = [...execArgv, join(import.meta.dirname, program), ...args]
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  return { line: line.trim(), pid: child.pid ?? 0, stop: () => child.kill() }
}
