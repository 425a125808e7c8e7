import { defaultClusterLimits, executorProblem, taskProblem } from '@conclave/cluster'
import {
  CallMalformed,
  idProblem,
  parse,
  parseSecretPath,
  partsIn,
  PathInvalid,
  Secret,
  secretSizeBytesMax,
  TaskSpec,
  wipeSecrets,
  type CommandInfo,
  type ContainerInfo,
  type EnvironmentVariable,
  type Volume,
} from '@conclave/model'
import { SpecInvalid } from './errors.ts'

/** The whole of a spec with its sealed values has to fit into one record of the store. */
const specSizeBytesMax = 640 * 1024

/**
 * The spec in `json`, checked whole, so that nothing is stored that could never run. That its secrets
 * exist is not asked: they may still be created before it is launched.
 *
 * @throws SpecInvalid which names the first field that is off; no plaintext is kept
 */
export function parseSpec(json: unknown, sizeBytesMax: number = secretSizeBytesMax): TaskSpec {
  const spec = read(json)
  try {
    checkTask(spec, sizeBytesMax)
    return spec
  } catch (error) {
    wipeSecrets(TaskSpec, spec)
    throw error
  }
}

function read(json: unknown): TaskSpec {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new SpecInvalid('the spec', 'expected a JSON object; see examples/tasks')
  }
  try {
    return parse(TaskSpec, json)
  } catch (error) {
    if (!(error instanceof CallMalformed)) throw error
    const field = /^Missing required fields: ([^,]+)|field '([^']+)'/.exec(error.message)
    throw new SpecInvalid(field?.[1] ?? field?.[2] ?? 'the spec', error.message)
  }
}

function checkTask(spec: TaskSpec, sizeBytesMax: number): void {
  checkText('name', spec.name, 255)
  if (spec.name.trim() === '') throw new SpecInvalid('name', 'is empty; give the task a name')
  const idFault = spec.task_id && idProblem(spec.task_id.value)
  if (idFault !== undefined) throw new SpecInvalid('task_id.value', idFault)
  if (spec.executor !== undefined) {
    throw new SpecInvalid('executor', 'a run has no executor of its own; use command')
  }
  if (spec.command === undefined) {
    throw new SpecInvalid('command', 'is missing; say what to run, such as {"value": "echo hi"}')
  }
  checkResources(spec)
  const hasImage = spec.container?.mesos?.image !== undefined
  checkCommand('command', spec.command, sizeBytesMax, hasImage)
  if (spec.health_check?.command !== undefined) {
    checkCommand('health_check.command', spec.health_check.command, sizeBytesMax)
  }
  if (spec.check?.command !== undefined) {
    checkCommand('check.command.command', spec.check.command.command, sizeBytesMax)
  }
  if (spec.container !== undefined) checkContainer(spec.container, sizeBytesMax)
  checkWhole(spec)
  checkLaunchable(spec)
}

/** What the cluster would refuse at every launch would wait for ever. Its ids are given at the launch. */
function checkLaunchable(spec: TaskSpec): void {
  const ids = { task_id: { value: 'run' }, agent_id: { value: 'agent' } }
  const task = { ...spec, ...ids }
  const problem = taskProblem(task, 'agent', defaultClusterLimits) ?? executorProblem(task)
  if (problem !== undefined) throw new SpecInvalid('the spec', problem)
}

function checkResources({ resources }: TaskSpec): void {
  if (resources.length === 0) {
    throw new SpecInvalid('resources', 'is empty; ask for cpus and mem, such as 0.1 and 32')
  }
  for (const [index, { name, type, scalar }] of resources.entries()) {
    const field = `resources[${index}]`
    checkText(`${field}.name`, name, 255)
    if (name === '') throw new SpecInvalid(`${field}.name`, 'is empty')
    if (type !== 'SCALAR') {
      throw new SpecInvalid(`${field}.type`, 'a run waits for SCALAR resources only')
    }
    const amount = scalar?.value
    if (amount === undefined || !Number.isFinite(amount) || amount <= 0) {
      throw new SpecInvalid(`${field}.scalar.value`, 'expected a number above 0')
    }
  }
}

function checkCommand(
  field: string,
  command: CommandInfo,
  sizeBytesMax: number,
  hasImage = false,
): void {
  const isShell = command.shell ?? true
  // An image may say what is run.
  const mayBeEmpty = hasImage && !isShell
  if (!mayBeEmpty && (command.value === undefined || command.value === '')) {
    throw new SpecInvalid(
      `${field}.value`,
      isShell ? 'is empty; give a shell command' : 'is empty; give the program to run',
    )
  }
  checkText(`${field}.value`, command.value ?? '')
  for (const [index, argument] of command.arguments.entries()) {
    checkText(`${field}.arguments[${index}]`, argument)
  }
  for (const [index, variable] of (command.environment?.variables ?? []).entries()) {
    checkVariable(`${field}.environment.variables[${index}]`, variable, sizeBytesMax)
  }
}

/** Rules and words of mesos.md §11, and names that no environment can hold. */
function checkVariable(field: string, variable: EnvironmentVariable, sizeBytesMax: number): void {
  const { name, type = 'VALUE', value, secret } = variable
  if (name === '') throw new SpecInvalid(`${field}.name`, 'is empty')
  checkText(`${field}.name`, name)
  if (name.includes('=')) throw new SpecInvalid(`${field}.name`, "has a '='")
  if (type === 'SECRET') {
    if (secret === undefined) {
      throw new SpecInvalid(
        `${field}.secret`,
        `Environment variable '${name}' of type 'SECRET' must have a secret set`,
      )
    }
    if (value !== undefined) {
      throw new SpecInvalid(
        `${field}.value`,
        `Environment variable '${name}' of type 'SECRET' must not have a value set`,
      )
    }
    checkSecret(`${field}.secret`, secret, sizeBytesMax)
    if (secret.value?.data?.reveal().includes(0) === true) {
      throw new SpecInvalid(
        `${field}.secret.value.data`,
        `Environment variable '${name}' specifies a secret containing null bytes, which is not allowed in the environment`,
      )
    }
    return
  }
  if (type === 'UNKNOWN') {
    throw new SpecInvalid(`${field}.type`, "Environment variable of type 'UNKNOWN' is not allowed")
  }
  if (secret !== undefined) {
    throw new SpecInvalid(
      `${field}.secret`,
      `Environment variable '${name}' of type 'VALUE' must not have a secret set`,
    )
  }
  if (value === undefined) {
    throw new SpecInvalid(
      `${field}.value`,
      `Environment variable '${name}' of type 'VALUE' must have a value set`,
    )
  }
  checkText(`${field}.value`, value)
}

function checkSecret(field: string, secret: Secret, sizeBytesMax: number): void {
  const { type, reference, value } = secret
  if (type !== 'REFERENCE' && type !== 'VALUE') {
    throw new SpecInvalid(`${field}.type`, 'expected REFERENCE or VALUE')
  }
  if (type === 'REFERENCE') {
    if (reference === undefined) {
      throw new SpecInvalid(
        `${field}.reference`,
        "Secret of type REFERENCE must have the 'reference' field set",
      )
    }
    if (value !== undefined) {
      throw new SpecInvalid(
        `${field}.value`,
        `Secret '${reference.name}' of type REFERENCE must not have the 'value' field set`,
      )
    }
    checkReference(`${field}.reference`, reference)
    return
  }
  if (reference !== undefined) {
    throw new SpecInvalid(
      `${field}.reference`,
      "Secret of type VALUE must not have the 'reference' field set",
    )
  }
  if (value?.data === undefined) {
    throw new SpecInvalid(`${field}.value`, "Secret of type VALUE must have the 'value' field set")
  }
  const sizeBytes = value.data.reveal().length
  if (sizeBytes > sizeBytesMax) {
    throw new SpecInvalid(
      `${field}.value.data`,
      `has ${sizeBytes} bytes; at most ${sizeBytesMax} are allowed`,
    )
  }
}

function checkReference(field: string, reference: NonNullable<Secret['reference']>): void {
  try {
    parseSecretPath(reference.name, `${field}.name`)
  } catch (error) {
    if (!(error instanceof PathInvalid)) throw error
    throw new SpecInvalid(`${field}.name`, error.message.slice(`${field}.name `.length))
  }
  if (reference.key === '') {
    throw new SpecInvalid(`${field}.key`, 'is empty; leave it out, or name a member of the secret')
  }
  if (reference.key !== undefined) checkText(`${field}.key`, reference.key, 255)
}

function checkContainer(container: ContainerInfo, sizeBytesMax: number): void {
  if (container.type === 'DOCKER' && container.docker === undefined) {
    throw new SpecInvalid(
      'container.docker',
      "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo",
    )
  }
  const taken = new Map<string, string>()
  for (const [index, volume] of container.volumes.entries()) {
    const field = `container.volumes[${index}]`
    checkVolume(field, volume, sizeBytesMax)
    checkPlace(`${field}.container_path`, volume.container_path, taken)
  }
}

function checkVolume(field: string, volume: Volume, sizeBytesMax: number): void {
  const { host_path, image, source } = volume
  if ([host_path, image, source].filter((one) => one !== undefined).length !== 1) {
    throw new SpecInvalid(
      field,
      "Only one of them should be set: 'host_path', 'image' and 'source'",
    )
  }
  if (source === undefined) return
  const missing: Readonly<Record<string, [unknown, string]>> = {
    DOCKER_VOLUME: [source.docker_volume, 'docker_volume'],
    HOST_PATH: [source.host_path, 'host_path'],
    SANDBOX_PATH: [source.sandbox_path, 'sandbox_path'],
    SECRET: [source.secret, 'secret'],
    CSI_VOLUME: [source.csi_volume, 'csi_volume'],
  }
  const wanted = missing[source.type ?? 'UNKNOWN']
  if (wanted === undefined) {
    throw new SpecInvalid(`${field}.source.type`, "'source.type' is unknown")
  }
  if (wanted[0] === undefined) {
    throw new SpecInvalid(
      `${field}.source.${wanted[1]}`,
      `'source.${wanted[1]}' is not set for ${source.type} volume`,
    )
  }
  if (source.secret !== undefined) {
    checkSecret(`${field}.source.secret`, source.secret, sizeBytesMax)
  }
}

/** A path stays in the container, and no two volumes are at, or below, one place. */
function checkPlace(field: string, path: string, taken: Map<string, string>): void {
  if (path === '') throw new SpecInvalid(field, 'is empty')
  checkText(field, path, 4096)
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.includes('..')) throw new SpecInvalid(field, 'has a ".." segment')
  if (segments.length === 0) throw new SpecInvalid(field, 'names no place below the container')
  const place = `${path.startsWith('/') ? '/' : ''}${segments.join('/')}`
  for (const [other, otherField] of taken) {
    if (other === place) throw new SpecInvalid(field, `is the same place as ${otherField}`)
    if (other.startsWith(`${place}/`) || place.startsWith(`${other}/`)) {
      throw new SpecInvalid(field, `is inside, or around, ${otherField}`)
    }
  }
  taken.set(place, field)
}

function checkText(field: string, text: string, lengthMax = 128 * 1024): void {
  if (text.includes('\0')) throw new SpecInvalid(field, 'has a NUL byte')
  if (!text.isWellFormed()) throw new SpecInvalid(field, 'is not valid Unicode')
  if (text.length > lengthMax) {
    throw new SpecInvalid(field, `is longer than ${lengthMax} characters`)
  }
}

/** Values count as their envelopes will: in base64, and a little larger. */
function checkWhole(spec: TaskSpec): void {
  let sizeBytes = JSON.stringify(spec).length
  for (const { value } of partsIn(TaskSpec, spec, Secret)) {
    if (value?.data !== undefined) sizeBytes += envelopeTextLength(value.data.reveal().length)
  }
  if (sizeBytes > specSizeBytesMax) {
    throw new SpecInvalid(
      'the spec',
      `has about ${sizeBytes} bytes, and at most ${specSizeBytesMax} can be stored; create large values as secrets and refer to them`,
    )
  }
}

const envelopeTextLength = (sizeBytes: number): number => Math.ceil((sizeBytes + 256) / 3) * 4
