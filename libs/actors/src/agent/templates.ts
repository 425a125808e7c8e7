import {
  expand,
  expandText,
  shownName,
  Steps,
  TemplateFunctionFailed,
  TemplateInvalid,
  type Fields,
  type Scope,
} from '@conclave/templates'
import { ContainerSpecRefused, type PlannedSecret } from '@conclave/isolators'
import { utf8, wipe, type RedactedBytes } from '@conclave/kernel'
import type { CommandInfo, ContainerInfo, ContainerService, VolumeFile } from '@conclave/model'
import { fileFailure } from './wording.ts'

/*
 * What of a service's container is a template, and what it becomes in this one. Source: docker-swarm.md B5.
 */

/** Without functions: what has no place in an environment is no secret's either. */
const scopeOf = (service: ContainerService): Scope => ({
  ...contextOf(service, '*template.Context'),
  functions: {},
})

/** The fields that templates name, and how SwarmKit's errors call what has them. */
function contextOf(
  { id, name, labels = {}, place }: ContainerService,
  type: '*template.Context' | '*template.PayloadContext',
): Pick<Scope, 'fields' | 'structures'> {
  const { task_id: taskId = '', slot = '', node_id: nodeId = '' } = place ?? {}
  const { hostname = '', os = '', arch = '' } = place ?? {}
  const Platform: Fields = { Architecture: arch, OS: os }
  const Service: Fields = { ID: id, Name: name, Labels: labels }
  const Node: Fields = { ID: nodeId, Hostname: hostname, Platform }
  const Task: Fields = { ID: taskId, Name: `${name}.${slot}.${taskId}`, Slot: slot }
  const fields: Fields = { Service, Node, Task }
  return {
    fields,
    structures: new Map([
      [fields, type],
      [Service, 'struct { ID string; Name string; Labels map[string]string }'],
      [Node, 'struct { ID string; Hostname string; Platform template.Platform }'],
      [Platform, 'template.Platform'],
      [Task, 'struct { ID string; Name string; Slot string }'],
    ]),
  }
}

/**
 * The command of a container with its variables expanded, if it is of a service; else itself.
 *
 * @throws PlanRefused
 */
export function expandedCommand(
  command: CommandInfo,
  container: ContainerInfo | undefined,
): CommandInfo {
  const { service } = container ?? {}
  const variables = command.environment?.variables ?? []
  if (service === undefined || variables.length === 0) return command
  const scope = scopeOf(service)
  const steps = new Steps()
  return {
    ...command,
    environment: {
      variables: variables.map((variable) =>
        variable.value === undefined
          ? variable
          : { ...variable, value: expanded('env', variable.value, scope, steps) },
      ),
    },
  }
}

/** The hostname that a container says, expanded if it is of a service. @throws PlanRefused */
export function hostnameOf(container: ContainerInfo | undefined): string | undefined {
  const { hostname, service } = container ?? {}
  if (hostname === undefined || service === undefined) return hostname
  return expanded('hostname', hostname, scopeOf(service), new Steps())
}

/** What would refuse every task of a service. Labels are the service's, all else is made up, as in SwarmKit. */
export function templateFault(
  { env, hostname }: { readonly env: readonly string[]; readonly hostname: string },
  service: Pick<ContainerService, 'name' | 'labels'>,
): string | undefined {
  const scope = scopeOf({ id: 'serviceid', ...service })
  // Of all together: a master waits for it.
  const steps = new Steps()
  try {
    for (const variable of env) {
      const at = variable.indexOf('=')
      if (at !== -1) expanded('env', variable.slice(at + 1), scope, steps)
    }
    expanded('hostname', hostname, scope, steps)
    return undefined
  } catch (refusal) {
    if (!(refusal instanceof ContainerSpecRefused)) throw refusal
    return refusal.message
  }
}

function expanded(what: string, text: string, scope: Scope, steps: Steps): string {
  try {
    return expandText(text, scope, steps)
  } catch (fault) {
    if (!(fault instanceof TemplateInvalid)) throw fault
    throw new ContainerSpecRefused(`expanding ${what} failed: ${fault.message}`)
  }
}

/**
 * The values of a container's secrets, those of template files expanded: each sees the others as they are
 * stored. What was expanded is wiped and replaced; a refusal leaves all of `values` to the caller.
 *
 * @param values one for each of `secrets`, in order
 * @throws PlanRefused in the words of the Engine
 */
export function expandedFiles(
  secrets: readonly PlannedSecret[],
  values: readonly RedactedBytes[],
  command: CommandInfo,
  service: ContainerService | undefined,
): readonly RedactedBytes[] {
  const made = new Map<number, RedactedBytes>()
  try {
    for (const [index, { file }] of secrets.entries()) {
      const template = values[index]
      if (file?.template === undefined || template === undefined) continue
      const scope = fileScope(secrets, values, command, service)
      made.set(index, expandedFile(file, template, scope))
    }
  } catch (refusal) {
    for (const bytes of made.values()) wipe(bytes)
    throw refusal
  }
  return values.map((value, index) => {
    const bytes = made.get(index)
    if (bytes !== undefined) wipe(value)
    return bytes ?? value
  })
}

function expandedFile(file: VolumeFile, template: RedactedBytes, scope: Scope): RedactedBytes {
  const refused = (why: string): ContainerSpecRefused =>
    new ContainerSpecRefused(
      fileFailure(file, `failed to expand templated ${what(file)} ${file.object_id ?? ''}: ${why}`),
    )
  if (file.template !== 'golang') throw refused('unrecognized template type')
  try {
    return expand(template, scope)
  } catch (fault) {
    if (!(fault instanceof TemplateInvalid)) throw fault
    throw refused(fault.message)
  }
}

const what = ({ object }: VolumeFile): string => (object === 'CONFIG' ? 'config' : 'secret')

function fileScope(
  secrets: readonly PlannedSecret[],
  values: readonly RedactedBytes[],
  command: CommandInfo,
  service: ContainerService | undefined,
): Scope {
  const valueOf =
    (object: 'SECRET' | 'CONFIG') =>
    (target: string): Uint8Array => {
      const isIt = ({ file }: PlannedSecret): boolean =>
        file?.target === target && file.object === object
      const value = values[secrets.findIndex(isIt)]
      if (value !== undefined) return value.reveal()
      throw new TemplateFunctionFailed(
        `${object.toLowerCase()} target ${shownName(target)} not found`,
      )
    }
  const variables = command.environment?.variables ?? []
  return {
    ...(service === undefined ? { fields: {} } : contextOf(service, '*template.PayloadContext')),
    functions: {
      secret: valueOf('SECRET'),
      config: valueOf('CONFIG'),
      env: (name) => utf8(variables.findLast((one) => one.name === name)?.value ?? ''),
    },
  }
}
