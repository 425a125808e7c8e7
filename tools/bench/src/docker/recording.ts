import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from './engine.ts'

/** What an Engine answered to one GET. */
export interface Recorded {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** In base64. */
  readonly body: string
}

/** What the CLI asks for before and while it lists secrets. */
const asked = ['/_ping', '/version', '/secrets']

/** Of the answers' headers those that the CLI reads. */
const kept = ['api-version', 'content-type', 'docker-experimental', 'ostype', 'server']

/**
 * A server that gives `engine`'s answers as they are now, without anything behind it: what the same CLI
 * takes with it is its own, and no Engine can make it less.
 */
export async function startRecording(
  engine: Engine,
): Promise<{ readonly engine: Engine; stop(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-recorded-'))
  const [socket, file] = [join(directory, 'docker.sock'), join(directory, 'answers.json')]
  const recorded = await Promise.all(asked.map((path) => record(engine, path)))
  writeFileSync(file, JSON.stringify(recorded))
  const program = join(import.meta.dirname, 'recorded-server.ts')
  const child = spawn(process.execPath, [program, socket, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return {
    engine: { name: 'a recording', socket, pids: [child.pid ?? 0] },
    stop: () => {
      child.kill()
      rmSync(directory, { recursive: true })
    },
  }
}

async function record({ socket, name }: Engine, path: string): Promise<Recorded> {
  const sent = request({ socketPath: socket, path, agent: false })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  if (answer.statusCode !== 200)
    throw new Error(`${name} answered ${path} with ${answer.statusCode}`)
  const body = Buffer.concat(await answer.toArray())
  const headers = Object.entries(answer.headers).flatMap(([header, value]) =>
    kept.includes(header) && typeof value === 'string' ? [[header, value]] : [],
  )
  const length = ['content-length', String(body.length)]
  return {
    path,
    headers: Object.fromEntries([...headers, length]) as Record<string, string>,
    body: body.toString('base64'),
  }
}
