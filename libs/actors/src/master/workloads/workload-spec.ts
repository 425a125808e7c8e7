import {
  parseOurs,
  parseSecretPath,
  partsIn,
  Secret,
  TaskSpec,
  wipeSecrets,
  type SecretPath,
} from '@conclave/model'
import { constraintProblem, spreadProblem, WorkloadSpec } from '@conclave/workloads'
import { SpecInvalid } from '../errors.ts'
import { parseSpec } from '../spec.ts'

/** A workload's record holds two specs, and has to fit into one record of the store. */
const specSizeBytesMax = 256 * 1024

/**
 * A workload's spec, checked whole. Its template comes back in our own form, so that two which mean the same
 * are the same text. Values of secrets have no place in it: it is shown, kept and compared for a long time.
 *
 * @throws SpecInvalid which names the first field that is off
 */
export function parseWorkloadSpec(json: unknown): WorkloadSpec {
  const parsed = WorkloadSpec.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = (issue?.path ?? []).join('.')
    throw new SpecInvalid(field === '' ? 'the spec' : field, issue?.message ?? 'is no spec')
  }
  const spec = parsed.data
  checkPlacement(spec)
  const whole = { ...spec, template: parseTemplate(spec) }
  const sizeBytes = Buffer.byteLength(JSON.stringify(whole))
  if (sizeBytes > specSizeBytesMax) {
    throw new SpecInvalid(
      'the spec',
      `has ${sizeBytes} bytes, and at most ${specSizeBytesMax} can be stored`,
    )
  }
  return whole
}

function checkPlacement({ placement }: WorkloadSpec): void {
  for (const [index, constraint] of placement.constraints.entries()) {
    const problem = constraintProblem(constraint)
    if (problem !== undefined) throw new SpecInvalid(`placement.constraints[${index}]`, problem)
  }
  for (const [index, spread] of placement.spread.entries()) {
    const problem = spreadProblem(spread)
    if (problem !== undefined) throw new SpecInvalid(`placement.spread[${index}]`, problem)
  }
}

function parseTemplate({ name, template }: WorkloadSpec): WorkloadSpec['template'] {
  let task: TaskSpec
  try {
    task = parseSpec({ name, ...template })
  } catch (error) {
    if (!(error instanceof SpecInvalid)) throw error
    const fault = error.message.slice(error.field.length + 2)
    throw new SpecInvalid(
      error.field === 'the spec' ? 'template' : `template.${error.field}`,
      fault,
    )
  }
  if (task.task_id !== undefined || task.agent_id !== undefined) {
    throw new SpecInvalid('template', 'has a task_id or an agent_id; each task is given its own')
  }
  const hasValues = partsIn(TaskSpec, task, Secret).some(({ value }) => value !== undefined)
  if (hasValues) {
    wipeSecrets(TaskSpec, task)
    throw new SpecInvalid(
      'template',
      'holds the value of a secret; create the secret and refer to it, such as {"type": "REFERENCE", "reference": {"name": "dev/db"}}',
    )
  }
  return JSON.parse(JSON.stringify(task)) as WorkloadSpec['template']
}

const known = new WeakMap<WorkloadSpec['template'], TaskSpec>()

/** A template as the cluster launches it. */
export function taskSpecOf({ template }: WorkloadSpec): TaskSpec {
  const task = known.get(template) ?? parseOurs(TaskSpec, template)
  known.set(template, task)
  return task
}

/** The secrets that tasks of this spec are given. */
export function secretsOf(spec: WorkloadSpec): readonly SecretPath[] {
  const paths = partsIn(TaskSpec, taskSpecOf(spec), Secret).flatMap(({ reference }) =>
    reference === undefined ? [] : [parseSecretPath(reference.name)],
  )
  return [...new Set(paths)]
}
