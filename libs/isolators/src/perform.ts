import { ConclaveError } from '@conclave/kernel'
import type { Host } from './host.ts'
import { planCleanup, wipePlan, type Plan, type Step, type UndoStep } from './plan.ts'

/** A step of a plan failed, and what the plan had done was undone. */
export class PlacementFailed extends ConclaveError {
  readonly code = 'isolator.placement-failed'

  constructor(step: Step, cause: unknown) {
    const why = cause instanceof ConclaveError ? cause.message : 'the host failed'
    super(isSaidAlone(step) ? why : `${step.do} failed: ${why}`, { cause })
  }
}

/** Where Mesos says the reason alone. */
const isSaidAlone = (step: Step): boolean =>
  step.do === 'provision-image' ||
  step.do === 'fetch-uri' ||
  (step.do === 'bind-file' && step.mustExist === true)

/** Something of a container could not be undone, so something of its secrets may be left. */
export class CleanupFailed extends ConclaveError {
  readonly code = 'isolator.cleanup-failed'
}

/**
 * Carries out all of `plan` or nothing of it. Whatever happens, the bytes in the plan are wiped.
 *
 * @throws PlacementFailed after everything done so far was undone
 */
export async function perform(plan: Plan, host: Host): Promise<void> {
  const done: Step[] = []
  try {
    for (const step of plan) {
      done.push(step)
      await carryOutOrUndo(step, done, host)
    }
  } finally {
    wipePlan(plan)
  }
}

/**
 * Carries out every step, also after one that failed: half a clean-up must not keep the other half.
 *
 * @throws CleanupFailed
 */
export async function undo(steps: readonly UndoStep[], host: Host): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    await carryOutUndo(step, host).catch((failure: unknown) => failures.push(failure))
  }
  if (failures.length === 0) return
  throw new CleanupFailed(`${failures.length} of ${steps.length} steps could not be undone`, {
    cause: failures[0],
  })
}

async function carryOutOrUndo(step: Step, done: Plan, host: Host): Promise<void> {
  try {
    await carryOut(step, host)
  } catch (cause) {
    await undo(planCleanup(done), host)
    throw new PlacementFailed(step, cause)
  }
}

async function carryOut(step: Step, host: Host): Promise<void> {
  switch (step.do) {
    case 'provision-image':
      return host.provisionImage(step.image)
    case 'fetch-uri':
      return host.fetchUri(step.uri, step.owner)
    case 'mount-tmpfs':
      return host.mountTmpfs(step.sizeBytes, step.inodes)
    case 'write-file':
      return host.writeFile(step.name, step.bytes, step.mode, step.owner)
    case 'bind-file':
      return host.bindFile(step.name, step.at, step)
    case 'print':
      return host.print(step.line)
    case 'set-env':
      return host.setEnv(step.name, step.value)
  }
}

async function carryOutUndo(step: UndoStep, host: Host): Promise<void> {
  switch (step.do) {
    case 'clear-env':
      return host.clearEnv()
    case 'unbind-file':
      return host.unbindFile(step.at)
    case 'unmount-tmpfs':
      return host.unmountTmpfs()
  }
}
