import type { EngineClient } from './engine-client.ts'
import { referenceTo, serviceSpec, type Furnished } from './error-requests.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Makes all that the recorded errors speak of, in a swarm that has taken the walkthrough. */
export async function furnish(engine: EngineClient): Promise<Furnished> {
  const make = (path: string, body: object): Promise<{ ID: string }> =>
    engine.json('POST', path, body)
  const secret = (Name: string): Promise<{ ID: string }> =>
    make('/secrets/create', { Name, Labels: {}, Data: base64('a') })

  await secret('file_secret')
  const shared = await secret('shared')
  for (const name of ['sa', 'sb'])
    await make(
      '/services/create',
      serviceSpec(name, { Secrets: [referenceTo('Secret', shared.ID, 'shared')] }),
    )
  await make('/services/create', serviceSpec('a2'))
  const config = await make('/configs/create', { Name: 'my_config', Labels: {}, Data: base64('a') })
  await make(
    '/services/create',
    serviceSpec('cfgsvc', { Configs: [referenceTo('Config', config.ID, 'my_config')] }),
  )

  const { Swarm } = await engine.json<{ Swarm: { NodeID: string } }>('GET', '/info')
  const node = await engine.json<Furnished['node'] & Named>('GET', `/nodes/${Swarm.NodeID}`)
  const mine = await engine.json<{ ID: string }>('GET', '/secrets/my_secret')
  return {
    hostname: node.Description?.Hostname ?? '',
    nodeId: Swarm.NodeID,
    secretId: mine.ID,
    service: await engine.json('GET', '/services/my_test_app'),
    swarm: await engine.json('GET', '/swarm'),
    node,
    prefixOfSeven: await prefixOfSeven(engine, secret),
  }
}

interface Named {
  readonly Description?: { readonly Hostname: string }
}

/** Makes secrets until there is a character with which the ids of exactly seven of them begin. */
async function prefixOfSeven(
  engine: EngineClient,
  secret: (name: string) => Promise<unknown>,
): Promise<string> {
  for (let made = 0; made < 2000; made++) {
    const ids = (await engine.json<readonly { ID: string }[]>('GET', '/secrets')).map(
      ({ ID }) => ID,
    )
    const counts = Map.groupBy(ids, ([first = '']) => first)
    const seven = counts.entries().find(([, { length }]) => length === 7)
    if (seven !== undefined) return seven[0]
    await secret(`many-${made}`)
  }
  throw new Error('the ids of secrets begin with too few characters')
}
