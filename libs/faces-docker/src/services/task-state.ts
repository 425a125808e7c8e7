import type { WorkloadTaskView } from '@conclave/actors'
import type { Volume } from '@conclave/model'

/* Where a task is, in SwarmKit's states and words. Source: docker-swarm.md A8. */

export type TaskState =
  | 'pending'
  | 'assigned'
  | 'preparing'
  | 'ready'
  | 'starting'
  | 'running'
  | 'complete'
  | 'shutdown'
  | 'failed'
  | 'rejected'
  | 'orphaned'

export interface TaskStanding {
  readonly State: TaskState
  readonly Message: string
  /** What went wrong, if anything did. */
  readonly Err?: string
}

export function standingOf(task: WorkloadTaskView): TaskStanding {
  switch (task.state) {
    case 'pending':
      return waiting(task)
    case 'assigned':
      return { State: 'assigned', Message: 'scheduler assigned task to node' }
    case 'staging':
      return { State: 'preparing', Message: 'preparing' }
    case 'starting':
      return { State: 'starting', Message: 'starting' }
    case 'running':
      return { State: 'running', Message: 'started' }
    case 'finished':
      return { State: 'complete', Message: 'finished' }
    case 'killed':
      // Whoever killed it did not ask the swarm.
      return task.hasEndedByItself
        ? { State: 'failed', Message: 'started', Err: 'task: non-zero exit (137)' }
        : { State: 'shutdown', Message: 'shutdown' }
    case 'failed':
      return { State: 'failed', Message: 'started', Err: exitError(task) }
    case 'rejected':
      return refused(task)
    case 'lost':
      break
  }
  return { State: 'orphaned', Message: 'node is gone', Err: task.message ?? '' }
}

function waiting({ message }: WorkloadTaskView): TaskStanding {
  const standing = { State: 'pending', Message: 'pending task scheduling' } as const
  return message === undefined ? standing : { ...standing, Err: message }
}

function exitError({ exitCode, message = '', healthy }: WorkloadTaskView): string {
  if (exitCode === undefined || exitCode === 0) return message
  const text = `task: non-zero exit (${exitCode})`
  return healthy === false ? `${text}: dockerexec: unhealthy container` : text
}

const launchPrefix = /^Failed to launch container: /
/** So an agent begins to say why a secret was not to be had. Source: reference mesos.md §11. */
const secretPrefix = /^Collect failed: /

/** The cluster would not have it, the image was not to be had, or the container not to be started. */
function refused({ message = '', spec, taskState }: WorkloadTaskView): TaskStanding {
  const why = message.replace(launchPrefix, '')
  if (taskState === 'TASK_ERROR') return { State: 'rejected', Message: 'assigned', Err: why }
  if (!secretPrefix.test(why) && isAboutImage(why)) {
    const text = `No such image: ${imageOf(spec)}`
    return { State: 'rejected', Message: 'preparing', Err: text }
  }
  const text = secretError(why.replace(secretPrefix, ''), spec)
  return { State: 'failed', Message: 'starting', Err: `starting container failed: ${text}` }
}

/** A secret that is gone is called by its id there: its name may be another secret's by now. */
function secretError(why: string, { template }: WorkloadTaskView['spec']): string {
  const [, path] = /^no secret (\S+)$/.exec(why) ?? []
  const { container } = template as { container?: { volumes?: readonly Volume[] } }
  const volume = container?.volumes?.find(
    ({ source }) => path !== undefined && source?.secret?.reference?.name === path,
  )
  const id = volume?.file?.object_id
  return id === undefined ? why : `unable to get secret from secret store: secret ${id} not found`
}

const isAboutImage = (why: string): boolean => /\b(image|registry|manifest|blob)\b/i.test(why)

function imageOf({ template }: WorkloadTaskView['spec']): string {
  const { container } = template as {
    container?: { mesos?: { image?: { docker?: { name?: string } } } }
  }
  return container?.mesos?.image?.docker?.name ?? ''
}
