import {
  parseSecretPath,
  type ContainerInfo,
  type FromAgent,
  type Grant,
  type SecretPath,
  type TaskInfo,
} from '@conclave/model'
import { grantKey, putGrant, putTask, type TaskRecord } from './records.ts'
import type { ClusterState } from './state.ts'
import type { Task } from './tasks.ts'

/*
 * New contents for the files of a container that runs. What it shall have is written down before its agent is
 * told, so that an agent that was away, and one that hears of it from the next leader, still get it.
 */

/**
 * Gives the files of a running task the current versions of their secrets, and the secrets that `wanted` names
 * for them. Nothing happens when it has them, and while its agent is at it.
 */
export function rotateFiles(
  state: ClusterState,
  frameworkId: string,
  taskId: string,
  wanted: ContainerInfo,
): void {
  const task = state.tasks.get(frameworkId, taskId)
  if (task === undefined || !mayRotate(task.record)) return
  const { record } = task
  const { container } = record.info
  if (container === undefined) return
  const info: TaskInfo = { ...record.info, container: { ...container, volumes: wanted.volumes } }
  const paths = filePathsIn(info.container)
  const fresh = paths.map((path): Grant => {
    const version = state.surroundings.secretVersion(path)
    const { agentId } = record
    return { frameworkId, taskId, agentId, path, version, issuedAtMs: state.nowMs }
  })
  // A secret that was removed leaves what it was of as it is.
  const isGone = fresh.some(({ version }) => version === null)
  if (isGone || !differ(task, info, fresh)) return
  const uid = state.frameworks.get(frameworkId)?.record.uid ?? ''
  const isForbidden = paths.some((path) => !state.surroundings.mayRead(uid, path, taskId))
  const id = (record.rotation?.id ?? 0) + 1
  if (isForbidden) return settle(state, record, { id, state: 'failed' })
  grantAnew(state, { ...record, info, rotation: { id, state: 'asked' } }, task.grants, fresh)
  sendRotation(state, frameworkId, taskId)
}

/** Not what ends anyway, nor what could not be done once: somebody else sees to that. */
const mayRotate = ({ state, kill, rotation }: TaskRecord): boolean =>
  state === 'TASK_RUNNING' &&
  kill === undefined &&
  (rotation === undefined || rotation.state === 'done')

const filePathsIn = (container: ContainerInfo | undefined): readonly SecretPath[] => [
  ...new Set(
    (container?.volumes ?? []).flatMap(({ file, source }) => {
      const name = file === undefined ? undefined : source?.secret?.reference?.name
      return name === undefined ? [] : [parseSecretPath(name)]
    }),
  ),
]

const volumesOf = ({ container }: TaskInfo): string => JSON.stringify(container?.volumes)

function differ({ record, grants }: Task, info: TaskInfo, fresh: readonly Grant[]): boolean {
  const isNewer = ({ path, version }: Grant): boolean =>
    grants.find((grant) => grant.path === path)?.version !== version
  return fresh.some(isNewer) || volumesOf(record.info) !== volumesOf(info)
}

/** What no file is of any more may not be read any more. */
function grantAnew(
  state: ClusterState,
  record: TaskRecord,
  before: readonly Grant[],
  fresh: readonly Grant[],
): void {
  const { frameworkId, taskId, agentId, info } = record
  const paths = new Set(fresh.map(({ path }) => path))
  const ofFiles = new Set(filePathsIn(state.tasks.get(frameworkId, taskId)?.record.info.container))
  const gone = before.filter(({ path }) => ofFiles.has(path) && !paths.has(path))
  const others = before.filter(({ path }) => !ofFiles.has(path) && !paths.has(path))
  state.tasks.put({ ...record, info }, [...others, ...fresh])
  state.outbox.commit([
    putTask(record),
    ...fresh.map(putGrant),
    ...gone.map((grant) => ({ key: grantKey(grant) })),
  ])
  for (const { path } of gone) {
    state.outbox.emit({ type: 'grant.revoked', frameworkId, taskId, agentId, path })
  }
  for (const { path, version } of fresh) {
    state.outbox.emit({ type: 'grant.issued', frameworkId, taskId, agentId, path, version })
  }
}

/** Tells the agent of what was asked and not answered, if it is there. */
export function sendRotation(state: ClusterState, frameworkId: string, taskId: string): void {
  const { record } = state.tasks.get(frameworkId, taskId) ?? {}
  const container = record?.info.container
  const connection = record && state.agents.get(record.agentId)?.connection
  if (record?.rotation?.state !== 'asked' || container === undefined) return
  if (connection === undefined) return
  const { containerId, rotation } = record
  state.outbox.toAgent(connection, {
    type: 'rotate-files',
    frameworkId,
    taskId,
    containerId,
    rotation: rotation.id,
    container,
  })
}

/** How it went. An answer to an older question says nothing of the newest. */
export function toldOfRotation(
  state: ClusterState,
  connection: number,
  { frameworkId, taskId, rotation: id, failure }: Extract<FromAgent, { type: 'files-rotated' }>,
): void {
  const { record } = state.tasks.get(frameworkId, taskId) ?? {}
  if (record === undefined || record.agentId !== state.agentBehind.get(connection)) return
  if (record.rotation?.id !== id || record.rotation.state !== 'asked') return
  settle(state, record, { id, state: failure === undefined ? 'done' : 'failed' })
}

function settle(
  state: ClusterState,
  record: TaskRecord,
  rotation: NonNullable<TaskRecord['rotation']>,
): void {
  state.outbox.commit([putTask(state.tasks.put({ ...record, rotation }).record)])
}
