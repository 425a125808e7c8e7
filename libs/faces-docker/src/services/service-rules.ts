import { templateFault } from '@conclave/actors'
import { parseImageName } from '@conclave/simulated-images'
import { referencesIn } from '../configs/references.ts'
import { Refusal, rpc } from '../errors.ts'
import { printable } from '../printable.ts'
import { checkConstraints } from './constraints.ts'
import {
  isJobSpec,
  type Amounts,
  type ContainerSpec,
  type Healthcheck,
  type ServiceSpec,
  type UpdateConfig,
} from './service-spec.ts'

/*
 * What a service may be. First what the Engine looks at itself, in bare words; then what SwarmKit does, in its
 * order and words: name, task, mode, update, ports. Source: docker-swarm.md A6; SwarmKit,
 * manager/controlapi/service.go.
 */

/** @throws Refusal */
export function checkService(spec: ServiceSpec): void {
  checkConvertible(spec)
  checkName(spec.Name ?? '')
  checkTask(spec)
  checkMode(spec)
  if (isJobSpec(spec)) checkJob(spec)
  else checkChange(spec.UpdateConfig ?? {})
  checkPorts(spec)
}

const invalid = (text: string): Refusal => rpc('InvalidArgument', text)

// ── the Engine ──────────────────────────────────────────────────────────────────────────────────

function checkConvertible(spec: ServiceSpec): void {
  const { TaskTemplate, Mode, UpdateConfig, RollbackConfig, EndpointSpec } = spec
  const { Runtime, ContainerSpec, PluginSpec, RestartPolicy } = TaskTemplate ?? {}
  if (Runtime && !['container', 'plugin'].includes(Runtime)) {
    throw new Refusal(400, 'unsupported runtime')
  }
  if (Runtime === 'plugin' && PluginSpec) {
    throw new Refusal(501, 'services of plugins are not kept here: this Engine is simulated')
  }
  if (!ContainerSpec || Runtime === 'plugin') {
    throw new Refusal(400, 'mismatched Runtime and *Spec fields')
  }
  checkPrivileges(ContainerSpec)
  for (const { Type } of ContainerSpec.Mounts ?? []) {
    // SwarmKit has no word for the one that is left out, and takes it for a bind.
    if (Type && !mountTypes.includes(Type.toLowerCase())) {
      throw new Refusal(400, `invalid MountType: "${printable(Type)}"`)
    }
  }
  const { Condition } = RestartPolicy ?? {}
  if (Condition && !['none', 'on-failure', 'any'].includes(Condition)) {
    throw new Refusal(400, `invalid RestartCondition: "${printable(Condition)}"`)
  }
  for (const change of [UpdateConfig, RollbackConfig]) {
    oneOf(change?.FailureAction, ['pause', 'continue', 'rollback'], 'update failure action')
    oneOf(change?.Order, ['stop-first', 'start-first'], 'update order')
  }
  const { Mode: resolution } = EndpointSpec ?? {}
  if (resolution && resolution !== 'vip' && resolution !== 'dnsrr') {
    throw new Refusal(400, `invalid resolution mode: "${printable(resolution)}"`)
  }
  const modes = [Mode?.Replicated, Mode?.Global, Mode?.ReplicatedJob, Mode?.GlobalJob]
  if (modes.filter(Boolean).length > 1) {
    throw new Refusal(400, 'must specify only one service mode')
  }
}

const mountTypes = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster']

/** What names a Windows account, of which there are none here: refused as it would be elsewhere. */
function checkPrivileges({ Privileges }: ContainerSpec): void {
  const { File, Registry, Config } = Privileges?.CredentialSpec ?? {}
  if (!Privileges?.CredentialSpec) return
  const given = [Config && '"config"', File && '"file"', Registry && '"registry"'].filter(Boolean)
  if (given.length === 0) {
    throw new Refusal(
      400,
      'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
    )
  }
  if (given.length === 1) return
  const last = given.pop()
  const both = `${given.join(', ')}${given.length > 1 ? ',' : ''} and ${last}`
  throw new Refusal(400, `invalid CredentialSpec: cannot specify both ${both} credential specs`)
}

function oneOf(text: string | null | undefined, known: readonly string[], what: string): void {
  if (!text || known.includes(text)) return
  throw new Refusal(400, `unrecognized ${what} ${printable(text)}`)
}

// ── SwarmKit ────────────────────────────────────────────────────────────────────────────────────

// SwarmKit's `^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$` in a form that no name keeps busy.
const dnsName = /^[a-zA-Z0-9](?:[-_a-zA-Z0-9]*[a-zA-Z0-9])?$/
const nameLengthMax = 63

function checkName(name: string): void {
  if (name === '') throw invalid('meta: name must be provided')
  if (!dnsName.test(name)) throw invalid('name must be valid as a DNS name component')
  if (name.length > nameLengthMax) {
    throw invalid(`name must be ${nameLengthMax} characters or fewer`)
  }
}

function checkTask({ Name, Labels, TaskTemplate }: ServiceSpec): void {
  const { ContainerSpec, Resources, RestartPolicy, Placement } = TaskTemplate ?? {}
  for (const amounts of [Resources?.Limits, Resources?.Reservations]) checkAmounts(amounts ?? {})
  if ((RestartPolicy?.Delay ?? 0) < 0) throw invalid('TaskSpec: restart-delay cannot be negative')
  if ((RestartPolicy?.Window ?? 0) < 0) throw invalid('TaskSpec: restart-window cannot be negative')
  checkConstraints(Placement?.Constraints ?? [])
  referencesIn(ContainerSpec ?? {})
  const { Env, Hostname } = ContainerSpec ?? {}
  const texts = { env: Env ?? [], hostname: Hostname ?? '' }
  const fault = templateFault(texts, { name: Name ?? '', labels: Labels ?? {} })
  if (fault !== undefined) throw invalid(fault)
  checkContainer(ContainerSpec ?? {})
}

const memoryBytesMin = 4 * 1024 * 1024
const nanoCpusMin = 1_000_000

function checkAmounts({ NanoCPUs, MemoryBytes }: Amounts): void {
  const cpus = NanoCPUs ?? 0
  if (cpus !== 0 && cpus < nanoCpusMin) {
    throw invalid(`invalid cpu value ${asGo(cpus / 1e9)}: Must be at least ${nanoCpusMin / 1e9}`)
  }
  const bytes = MemoryBytes ?? 0
  if (bytes !== 0 && bytes < memoryBytesMin) {
    throw invalid(`invalid memory value ${bytes}: Must be at least 4MiB`)
  }
}

/** As `%g` has it: exponents have two digits at least. */
const asGo = (value: number): string => String(value).replace(/e([+-])(\d)$/, 'e$10$2')

function checkContainer({ Image, StopGracePeriod, Mounts, Healthcheck }: ContainerSpec): void {
  const image = Image ?? ''
  if (image === '') throw invalid('ContainerSpec: image reference must be provided')
  if (parseImageName(image) === undefined) {
    throw invalid(`ContainerSpec: "${printable(image)}" is not a valid repository/tag`)
  }
  const targets = new Set<string>()
  for (const { Target } of Mounts ?? []) {
    const target = Target ?? ''
    if (targets.has(target)) {
      throw invalid(`ContainerSpec: duplicate mount point: ${printable(target)}`)
    }
    targets.add(target)
  }
  if (Healthcheck) checkHealth(Healthcheck)
  // SwarmKit takes it, and no task of it ends.
  if ((StopGracePeriod ?? 0) < 0) {
    throw invalid('ContainerSpec: stop-grace-period cannot be negative')
  }
}

const millisecondNs = 1_000_000

function checkHealth(health: Healthcheck): void {
  const { Interval, Timeout, StartPeriod, StartInterval, Retries } = health
  const times = { Interval, Timeout, StartPeriod, StartInterval }
  for (const [name, time] of Object.entries(times)) {
    if (time && time < millisecondNs) {
      throw invalid(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`)
    }
  }
  if ((Retries ?? 0) < 0) {
    throw invalid('ContainerSpec: Retries in HealthConfig cannot be negative')
  }
}

function checkMode({ Mode }: ServiceSpec): void {
  const replicas = Mode?.Replicated?.Replicas ?? 0
  if (replicas < 0) throw invalid('Number of replicas must be non-negative')
  const { MaxConcurrent, TotalCompletions } = Mode?.ReplicatedJob ?? {}
  if (isNegative(MaxConcurrent)) throw invalid('Maximum concurrent jobs must not be negative')
  if (isNegative(TotalCompletions)) throw invalid('Total completed jobs must not be negative')
}

/** As Go reads a number of 64 bits that has a sign. */
const isNegative = (count: number | null | undefined): boolean =>
  count !== null && count !== undefined && (count < 0 || count >= 2 ** 63)

/** A job is run anew, and nothing of it is replaced; how it would go back is not looked at. */
function checkJob({ UpdateConfig }: ServiceSpec): void {
  if (UpdateConfig) throw invalid('Jobs may not have an update config')
}

function checkChange({ Delay, Monitor, MaxFailureRatio }: UpdateConfig): void {
  if ((Delay ?? 0) < 0) throw invalid('TaskSpec: update-delay cannot be negative')
  if ((Monitor ?? 0) < 0) throw invalid('TaskSpec: update-monitor cannot be negative')
  const ratio = MaxFailureRatio ?? 0
  if (ratio < 0 || ratio > 1) {
    throw invalid('TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1')
  }
}

function checkPorts({ EndpointSpec }: ServiceSpec): void {
  const taken = new Set<string>()
  for (const { Protocol, PublishedPort, PublishMode } of EndpointSpec?.Ports ?? []) {
    const isIngress = (PublishMode || 'ingress') === 'ingress'
    if (EndpointSpec?.Mode === 'dnsrr' && isIngress) {
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
    }
    if (!PublishedPort) continue
    const port = `${PublishedPort}/${Protocol || 'tcp'}`
    if (taken.has(port)) throw invalid('EndpointSpec: duplicate published ports provided')
    taken.add(port)
  }
}
