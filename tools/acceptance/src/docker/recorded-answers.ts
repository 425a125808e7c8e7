import { recordedObjects, type Exchange } from './recordings.ts'

/*
 * The answers that the walkthrough leaves to objects.json. What was polled is given as it was in the end,
 * when the CLI had seen enough; where no such state was written down it is put together from the parts that were.
 */

type JsonObject = Readonly<Record<string, unknown>>

const object = (name: string): JsonObject => recordedObjects[name] as JsonObject
const list = (name: string): readonly JsonObject[] => recordedObjects[name] as JsonObject[]

const [running, replaced] = list('GET /tasks (service ps after rotation)')
const pending = object('Task pending (no NodeID yet)')
const [listed] = list('GET /services?status=true')
const node = object('GET /nodes/{id}')
const execShown = object('GET /exec/{id}/json')

const firstService = without('ServiceStatus', listed)
const firstContainer = '8fcf47a98194db208f50eebcbafc6a2c7cc0cd70a6b5123d7163435bee1176f6'
/** Of the other two containers the beginning alone was written down, as the CLI was given it. */
const secondContainer = '5113717ff445'.padEnd(64, '0')
const thirdContainer = '56cc31c98b6114dcc5a1ec15f544e8c9fdc19203cfb7cf5601c4c10e41e6e5d7'
const secondService = 'w8k8w16cy4gkxhb21afr19pec'

export interface Expected {
  readonly value: unknown
  /** Whether the recording left fields out. */
  readonly isTrimmed: boolean
}

/** What is to be compared with the answer to a recorded exchange. */
export function expectedOf({ request, response }: Exchange, step: number): Expected {
  if (response !== 'see objects.json') return { value: response, isTrimmed: false }
  const [, path = ''] = /^\S+ \/v1\.41(\/\S*)/.exec(request) ?? []
  const [, kind = '', id = ''] = path.split(/[/?]/)
  const value = shared(kind, id, path, step)
  if (value === undefined) throw new Error(`objects.json has nothing for ${request}`)
  return { value, isTrimmed: kind === 'containers' && id !== 'json' }
}

function shared(kind: string, id: string, path: string, step: number): unknown {
  if (kind === 'swarm') return object('GET /swarm')
  if (kind === 'nodes') return id === '' ? [node] : node
  if (kind === 'services' && path === '/services?status=true') return [listed]
  if (kind === 'services') {
    if (id === secondService)
      return { ...firstService, ID: id, Version: { Index: 24 }, Spec: secondSpec }
    return step === steps.rotation
      ? object('GET /services/{id}?insertDefaults=false after an update')
      : firstService
  }
  if (kind === 'tasks') return [taskAt(step)]
  if (kind === 'containers' && id === 'json') return list('GET /containers/json')
  if (kind === 'containers') return inspected(id)
  if (kind === 'exec') {
    const script = 'cat /run/secrets/my_other_secret; ls -la /run/secrets'
    const ProcessConfig = {
      tty: false,
      entrypoint: 'sh',
      arguments: ['-c', script],
      privileged: false,
    }
    return { ...execShown, ID: id, ExitCode: 0, ProcessConfig, ContainerID: secondContainer }
  }
  return undefined
}

/** Where in the walkthrough a service is created, and where its secret is replaced. */
const steps = { second: 8, rotation: 11 } as const

const secondSpec = {
  ...(firstService['Spec'] as JsonObject),
  Name: 'my_other_test_app',
  TaskTemplate: { ...(pending['Spec'] as JsonObject), Runtime: 'container' },
}

/** The one task that is up to date, as it runs. */
function taskAt(step: number): JsonObject {
  if (running === undefined || replaced === undefined) throw new Error('two tasks were recorded')
  if (step === steps.rotation) return running
  const [base, ContainerID] =
    step === steps.second ? [pending, secondContainer] : [replaced, firstContainer]
  const status = running['Status'] as JsonObject
  const ContainerStatus = { ...(status['ContainerStatus'] as JsonObject), ContainerID }
  return {
    ...base,
    NodeID: running['NodeID'],
    Status: { ...status, ContainerStatus },
    DesiredState: 'running',
  }
}

/** The first container, or one like it. */
function inspected(beginning: string): JsonObject {
  const first = object('GET /containers/{id}/json (trimmed)')
  if (firstContainer.startsWith(beginning)) return first
  const isSecond = secondContainer.startsWith(beginning)
  const [name, service, task, id] = isSecond
    ? ['my_other_test_app', secondService, pending['ID'] as string, secondContainer]
    : ['my_test_app', firstService['ID'] as string, running?.['ID'] as string, thirdContainer]
  const text = JSON.stringify(first)
    .replaceAll(firstContainer, id)
    .replaceAll(firstContainer.slice(0, 12), id.slice(0, 12))
    .replaceAll('evqfo2nlqr9zpdx3ga5ss695g', task)
    .replaceAll('06n7itpjawb7d2rixqvqogyzg', service)
    .replaceAll('my_test_app', name)
  return JSON.parse(text) as JsonObject
}

function without(key: string, value: JsonObject | undefined): JsonObject {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([name]) => name !== key))
}
