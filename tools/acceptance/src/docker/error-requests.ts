import type { RecordedError } from './recordings.ts'

/** In what state an Engine gives an error. */
export type Situation = 'outside' | 'manager' | 'twins' | 'worker' | 'leaderless' | 'locked'

/** What a request needs of the swarm that it is made to. */
export interface Furnished {
  /** Of the node that is asked. */
  readonly hostname: string
  readonly nodeId: string
  /** Of `my_secret`. */
  readonly secretId: string
  /** As the Engine showed the service `my_test_app`. */
  readonly service: {
    readonly ID: string
    readonly Version: { readonly Index: number }
    readonly Spec: Spec
  }
  /** As it showed the swarm, and the node that is asked. */
  readonly swarm: { readonly Version: { readonly Index: number }; readonly Spec: object }
  readonly node: { readonly Version: { readonly Index: number }; readonly Spec: object }
  /** With which the ids of exactly seven secrets begin. */
  readonly prefixOfSeven: string
  /** A token in which the last part is wrong, and a manager of the swarm that it is of. */
  readonly join?: { readonly wrongToken: string; readonly address: string }
}

/** For an Engine that has nothing of it yet. */
export const unfurnished: Furnished = {
  hostname: '',
  nodeId: '',
  secretId: '',
  service: {
    ID: '',
    Version: { Index: 0 },
    Spec: { TaskTemplate: { ContainerSpec: { Secrets: [] } } },
  },
  swarm: { Version: { Index: 0 }, Spec: {} },
  node: { Version: { Index: 0 }, Spec: {} },
  prefixOfSeven: '',
}

interface Spec {
  readonly TaskTemplate: { readonly ContainerSpec: { readonly Secrets: readonly object[] } }
}

export interface ErrorRequest {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  /** The recorded message, with what is ours in it. */
  readonly message: string
}

const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')
const nobody = '7sisqcql0f0mvjijda4prje12'

/** In which situation it was recorded. */
export function situationOf({ message }: RecordedError): Situation {
  if (/encrypted and needs|could not be unlocked|invalid key string/.test(message)) return 'locked'
  if (message.includes('Worker nodes can')) return 'worker'
  if (/deadline exceeded|does not have a leader/.test(message)) return 'leaderless'
  // Of its four nodes of one name we have two.
  if (message.includes('secrets-testing is ambiguous')) return 'twins'
  const isOutside = /connect this node|not part of a swarm|advertise address|join token/.test(
    message,
  )
  return isOutside ? 'outside' : 'manager'
}

/** The request that provokes a recorded error. */
export function requestFor(error: RecordedError, has: Furnished): ErrorRequest {
  const { method, path, message, cli = '', when = '' } = error
  const subject = subjects(has)[path] ?? nobody
  const filled: ErrorRequest = {
    method: method === 'ANY' ? 'GET' : method,
    path: ours(path.replace('/...', '/secrets').replaceAll('{id}', subject), has, cli),
    message: ours(
      message.replaceAll('{id}', message.startsWith('rpc error') ? has.nodeId : nobody),
      has,
      cli,
    ),
  }
  const { query = '', body } = detailsOf(error, has, cli, when)
  return {
    ...absent(filled),
    path: absent(filled).path + query,
    ...(body !== undefined && { body }),
  }
}

/** Of what must not be there, under a name that no id can begin with: ids are letters and digits. */
function absent(request: ErrorRequest): ErrorRequest {
  const name = / ([\da-z]+) not found$/.exec(request.message)?.[1]
  if (name === undefined || name === nobody || !request.path.endsWith(`/${name}`)) return request
  return {
    ...request,
    path: `${request.path}_`,
    message: request.message.replace(/ not found$/, '_ not found'),
  }
}

/** What is meant by `{id}` in a path, where it must be there. */
const subjects = ({ nodeId, service, secretId }: Furnished): Readonly<Record<string, string>> => ({
  '/nodes/{id}/update': nodeId,
  '/services/{id}/update': service.ID,
  '/secrets/{id}/update': secretId,
})

/** The node has another name here, and other ids begin with one letter. */
function ours(text: string, { hostname, prefixOfSeven }: Furnished, cli: string): string {
  const named = text
    .replaceAll('secrets-testing', hostname)
    .replace(' (4 matches found)', ' (2 matches found)')
  return cli.endsWith(' 0') ? named.replace(/(?<=secrets?[ /])0\b/, prefixOfSeven) : named
}

interface Details {
  readonly query?: string
  readonly body?: unknown
}

function detailsOf(error: RecordedError, has: Furnished, cli: string, when: string): Details {
  const { method, path, message } = error
  if (method === 'GET') {
    const filter = /-f (\w+)=(\w+)/.exec(cli)
    if (filter !== null)
      return { query: `?filters=${encodeURIComponent(`{"${filter[1]}":{"${filter[2]}":true}}`)}` }
    return when.startsWith('filters=') ? { query: '?filters=x' } : {}
  }
  if (method !== 'POST') return {}
  switch (path) {
    case '/secrets/create':
      return { body: secretBody(message, cli, when) }
    case '/configs/create':
      return { body: configBody(message) }
    case '/services/create':
      return { body: serviceBody(message, cli, has) }
    case '/swarm/init': {
      const AdvertiseAddr = cli.includes('10.9.9.9.9') ? '10.9.9.9.9' : '192.168.99.100'
      return { body: { ListenAddr: '0.0.0.0:2377', AdvertiseAddr, Spec: {} } }
    }
    case '/swarm/join': {
      const isWrong = message.includes('valid join token is')
      const JoinToken = (isWrong && has.join?.wrongToken) || 'SWMTKN-1-xx'
      const RemoteAddrs = [has.join?.address ?? '192.168.99.100:2377']
      return { body: { ListenAddr: '0.0.0.0:2377', RemoteAddrs, JoinToken } }
    }
    case '/swarm/unlock':
      return {
        body: { UnlockKey: cli.includes('garbage') ? 'garbage' : `SWMKEY-1-${'A'.repeat(43)}` },
      }
    case '/swarm/update':
      return { query: `?version=${has.swarm.Version.Index + 1000}`, body: has.swarm.Spec }
    case '/nodes/{id}/update': {
      const change = cli.includes('demote') ? { Role: 'worker' } : { Availability: 'foo' }
      return { query: `?version=${has.node.Version.Index}`, body: { ...has.node.Spec, ...change } }
    }
    case '/secrets/{id}/update':
      return secretUpdate(message)
    case '/services/{id}/update':
      return serviceUpdate(message, has)
    default:
      return {}
  }
}

function secretBody(message: string, cli: string, when: string): unknown {
  if (when === 'truncated JSON') return Buffer.from('{"Name":"x"')
  if (when === 'Data is not base64') return { Name: 'x', Data: '!!!' }
  if (when === 'empty body') return Buffer.alloc(0)
  const driver = cli.includes('--driver') ? { Driver: { Name: 'nodrv' } } : {}
  const Data = message.includes('secret data') ? base64(Buffer.alloc(512_000)) : base64('a')
  const Name = message.includes('name must be')
    ? ''
    : message.includes('invalid name')
      ? 'bad name'
      : message.includes('already exists')
        ? 'my_secret'
        : `s${message.length}`
  return { Name, Labels: {}, ...('Driver' in driver ? driver : { Data }) }
}

function configBody(message: string): unknown {
  const Data = message.includes('config data') ? base64(Buffer.alloc(1_024_001)) : base64('1\n')
  const Name = message.includes('invalid name')
    ? 'a b'
    : message.includes('exists')
      ? 'my_config'
      : 'big'
  return { Name, Labels: {}, Data }
}

/** Like those that the CLI makes for `docker service create --name NAME IMAGE`. */
export const serviceSpec = (Name: string, more: object = {}): object => ({
  Name,
  Labels: {},
  TaskTemplate: {
    ContainerSpec: { Image: 'eon01/infinite:latest', Init: false, DNSConfig: {}, ...more },
    Resources: { Limits: {}, Reservations: {} },
    Placement: {},
    ForceUpdate: 0,
  },
  Mode: { Replicated: {} },
  EndpointSpec: { Mode: 'vip' },
})

/** A reference to a secret or a config under a target. */
export const referenceTo = (
  kind: 'Secret' | 'Config',
  id: string,
  name: string,
  target = name,
): object => ({
  File: { Name: target, UID: '0', GID: '0', Mode: 292 },
  [`${kind}ID`]: id,
  [`${kind}Name`]: name,
})

function serviceBody(message: string, cli: string, has: Furnished): unknown {
  const name = cli.includes('bad name') ? 'bad name' : cli.includes('a2') ? 'a2' : 'refused'
  if (message.includes('mismatched'))
    return { Name: name, TaskTemplate: {}, Mode: { Replicated: {} } }
  if (message.includes('image reference')) return serviceSpec(name, { Image: '' })
  const target = message.includes('no target')
    ? { SecretID: has.secretId, SecretName: 'my_secret' }
    : message.endsWith('malformed secret reference')
      ? referenceTo('Secret', '', '')
      : message.includes('not found')
        ? referenceTo('Secret', nobody, 'zz')
        : undefined
  return serviceSpec(name, target === undefined ? {} : { Secrets: [target] })
}

function secretUpdate(message: string): Details {
  if (message.includes('invalid secret version')) return { body: { Name: 'my_secret' } }
  const isStale = message.includes('out of sequence')
  const Name = isStale ? 'my_secret' : 'another'
  return { query: `?version=${isStale ? 99_999_999 : 1}`, body: { Name, Labels: {} } }
}

function serviceUpdate(message: string, has: Furnished): Details {
  const { Version, Spec } = has.service
  if (message.includes('service version')) return { body: Spec }
  if (message.includes('out of sequence'))
    return { query: `?version=${Version.Index + 1000}`, body: Spec }
  const { TaskTemplate } = Spec
  const Secrets = [
    ...TaskTemplate.ContainerSpec.Secrets,
    referenceTo('Secret', has.secretId, 'my_secret'),
  ]
  const ContainerSpec = { ...TaskTemplate.ContainerSpec, Secrets }
  return {
    query: `?version=${Version.Index}`,
    body: { ...Spec, TaskTemplate: { ...TaskTemplate, ContainerSpec } },
  }
}
