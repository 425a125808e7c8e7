import type { WorkloadTaskView } from '@conclave/actors'

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

/** How agents begin to say that a container could not be started. Source: reference mesos.md §11. */
const launchPrefix = /^(?:starting container failed|Failed to launch container): /
/** Of a secret, a config, a program or a user, whatever else is said in it. */
const otherPrefix =
  /^(?:unable to (?:get (?:secret|config)|find user)|Collect failed: |OCI runtime create failed: |the working directory )/

/** The cluster would not have it, the image was not to be had, or the container not to be started. */
function refused({ message = '', spec, taskState }: WorkloadTaskView): TaskStanding {
  const why = message.replace(launchPrefix, '')
  if (taskState === 'TASK_ERROR') return { State: 'rejected', Message: 'assigned', Err: why }
  if (!otherPrefix.test(why) && isAboutImage(why)) {
    const text = `No such image: ${imageOf(spec)}`
    return { State: 'rejected', Message: 'preparing', Err: text }
  }
  return { State: 'failed', Message: 'starting', Err: `starting container failed: ${why}` }
}

const isAboutImage = (why: string): boolean => /\b(image|registry|manifest|blob)\b/i.test(why)

function imageOf({ template }: WorkloadTaskView['spec']): string {
  const { container } = template as {
    container?: { mesos?: { image?: { docker?: { name?: string } } } }
  }
  return container?.mesos?.image?.docker?.name ?? ''
}
