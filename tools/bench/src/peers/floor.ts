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
  const child = spawn(process.execPath, [join(import.meta.dirname, '../bare-server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  return { url: new URL(line.trim()), stop: () => child.kill() }
}
