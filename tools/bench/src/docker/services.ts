import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../result.ts'
import { EngineConnections, type Engine } from './engine.ts'

const image = 'eon01/infinite:latest'
const secretName = 'bench-000000'
const patienceMs = 60_000

/**
 * Milliseconds from `POST /services/create` to the end of a `cat` of the secret in the service's container:
 * the median of `turns`. The CLI's own wait of 5 s is not in it, since the API is asked.
 */
export async function createToReadable(
  engines: readonly Engine[],
  turns: number,
): Promise<readonly number[]> {
  const taken = engines.map((engine) => ({ engine, ms: [] as number[] }))
  for (let turn = 0; turn < turns; turn++) {
    for (const { engine, ms } of taken) ms.push(await once(engine, `readable-${turn}`))
  }
  return taken.map(({ ms }) => median(ms))
}

async function once(engine: Engine, name: string): Promise<number> {
  const http = new EngineConnections(engine)
  try {
    const secret = await http.json<{ ID: string }>('GET', `/secrets/${secretName}`, 200)
    const startedAt = performance.now()
    const { ID } = await http.json<{ ID: string }>(
      'POST',
      '/services/create',
      201,
      specOf(name, secret.ID),
    )
    const container = await containerOf(http, name)
    const said = await reading(engine, http, container)
    const ms = performance.now() - startedAt
    if (!said.includes('aaaa')) throw new Error(`${engine.name} gives its task no secret: ${said}`)
    await http.ask('DELETE', `/services/${ID}`, 200)
    // Nothing of it may still end while the next one starts.
    await until('the container is gone', async () => (await running(http, name)).length === 0)
    return ms
  } finally {
    http.close()
  }
}

const specOf = (name: string, secretId: string): object => ({
  Name: name,
  TaskTemplate: {
    ContainerSpec: {
      Image: image,
      StopGracePeriod: 100_000_000,
      Secrets: [
        {
          File: { Name: 'secret', UID: '0', GID: '0', Mode: 292 },
          SecretID: secretId,
          SecretName: secretName,
        },
      ],
    },
  },
  Mode: { Replicated: { Replicas: 1 } },
})

const running = (http: EngineConnections, name: string): Promise<readonly { Id: string }[]> => {
  const filters = encodeURIComponent(JSON.stringify({ name: { [`${name}.`]: true } }))
  return http.json('GET', `/containers/json?filters=${filters}`, 200)
}

const containerOf = (http: EngineConnections, name: string): Promise<string> =>
  until(`a container of ${name} runs`, async () => (await running(http, name))[0]?.Id)

/** What `cat` of the secret prints in a container, frames and all. */
async function reading(engine: Engine, http: EngineConnections, id: string): Promise<string> {
  const Cmd = ['cat', '/run/secrets/secret']
  const wanted = { AttachStdout: true, AttachStderr: true, Cmd }
  const { Id } = await http.json<{ Id: string }>('POST', `/containers/${id}/exec`, 201, wanted)
  return new Promise((resolve, reject) => {
    const asked = request({
      socketPath: engine.socket,
      method: 'POST',
      path: `/exec/${Id}/start`,
      headers: { 'content-type': 'application/json', connection: 'Upgrade', upgrade: 'tcp' },
    })
    asked.on('error', reject)
    asked.on('response', ({ statusCode }) =>
      reject(new Error(`exec answered ${statusCode}, not 101`)),
    )
    asked.on('upgrade', (_answer, socket, head) => {
      const chunks: Buffer[] = [head]
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('error', reject)
      socket.once('end', () => resolve(Buffer.concat(chunks).toString()))
      socket.end()
    })
    asked.end('{"Detach":false,"Tty":false}\n')
  })
}

async function until<T>(what: string, attempt: () => Promise<T | undefined | false>): Promise<T> {
  const end = performance.now() + patienceMs
  while (performance.now() < end) {
    const answer = await attempt()
    if (answer !== undefined && answer !== false) return answer
    await sleep(2)
  }
  throw new Error(`in vain waited ${patienceMs / 1000} s until ${what}`)
}
