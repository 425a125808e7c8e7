import { callProblem, principalProblem, type SchedulerCall } from '@conclave/model'
import { accept, decline } from './accept.ts'
import type { PlainAnswer } from './effect.ts'
import { messageToExecutor } from './executors.ts'
import { removeFramework, setSuppressed, updateFramework } from './frameworks.ts'
import { answerInverseOffers } from './inverse-offers.ts'
import { graceOf, requestKill } from './kills.ts'
import { reconcileOperations } from './operations.ts'
import type { ClusterState, Framework } from './state.ts'
import { acknowledge, reconcile } from './statuses.ts'
import { isHolding } from './tasks.ts'

const accepted: PlainAnswer = { status: 202, body: '' }

const invalid = (problem: string): PlainAnswer => ({
  status: 400,
  body: `Failed to validate scheduler::Call: ${problem}`,
})

/** What is wrong with the form of a call of `uid`, as an answer. */
export function callRefusal(call: SchedulerCall, uid: string): PlainAnswer | undefined {
  const problem = callProblem(call, uid)
  return problem === undefined ? undefined : invalid(problem)
}

/** Any call but SUBSCRIBE: first whether it may be made, in Mesos' order, then what it does. */
export function answerCall(
  state: ClusterState,
  uid: string,
  call: SchedulerCall,
  streamId: string | undefined,
): PlainAnswer {
  const refusal = callRefusal(call, uid)
  if (refusal !== undefined) return refusal
  if (call.type === 'UNKNOWN') return { status: 501, body: '501 Not Implemented.' }
  const framework = state.frameworks.get(call.framework_id?.value ?? '')
  if (framework === undefined || framework.record.state === 'completed') {
    return { status: 400, body: 'Framework cannot be found' }
  }
  return sessionRefusal(framework, uid, streamId) ?? perform(state, framework, call)
}

/** Source: mesos.md §5.2. */
function sessionRefusal(
  { record, streamId: current }: Framework,
  uid: string,
  streamId: string | undefined,
): PlainAnswer | undefined {
  if (record.uid !== uid) return { status: 400, body: principalProblem(uid, record.uid) }
  if (current === undefined) return { status: 403, body: 'Framework is not subscribed' }
  if (streamId === undefined) {
    const body = "All non-subscribe calls should include the 'Mesos-Stream-Id' header"
    return { status: 400, body }
  }
  if (streamId === current) return undefined
  return {
    status: 400,
    body:
      `The stream ID '${streamId}' included in this request didn't match ` +
      `the stream ID currently associated with framework ID ${record.frameworkId}`,
  }
}

function perform(state: ClusterState, framework: Framework, call: SchedulerCall): PlainAnswer {
  const { frameworkId } = framework.record
  switch (call.type) {
    case 'TEARDOWN':
      removeFramework(state, framework, 'it asked for its end')
      return accepted
    case 'ACCEPT':
      if (call.accept !== undefined) accept(state, framework, call.accept)
      return accepted
    case 'DECLINE':
      if (call.decline !== undefined) decline(state, framework, call.decline)
      return accepted
    case 'REVIVE':
      setSuppressed(state, framework, call.revive?.roles ?? [], false)
      return accepted
    case 'SUPPRESS':
      setSuppressed(state, framework, call.suppress?.roles ?? [], true)
      return accepted
    case 'KILL':
      if (call.kill !== undefined) kill(state, framework, call.kill)
      return accepted
    case 'SHUTDOWN':
      if (call.shutdown !== undefined) shutdown(state, framework, call.shutdown)
      return accepted
    case 'ACKNOWLEDGE':
      if (call.acknowledge !== undefined) {
        const { task_id: taskId, agent_id: agentId, uuid } = call.acknowledge
        acknowledge(state, frameworkId, { taskId: taskId.value, agentId: agentId.value, uuid })
      }
      return accepted
    case 'RECONCILE':
      reconcile(
        state,
        framework,
        (call.reconcile?.tasks ?? []).map(({ task_id: taskId, agent_id: agentId }) => ({
          taskId: taskId.value,
          agentId: agentId?.value,
        })),
      )
      return accepted
    case 'RECONCILE_OPERATIONS':
      reconcileOperations(state, framework, call.reconcile_operations?.operations ?? [])
      return accepted
    case 'UPDATE_FRAMEWORK':
      if (call.update_framework === undefined) return accepted
      return updateFramework(state, framework, call.update_framework)
    case 'SUBSCRIBE':
      return invalid('SUBSCRIBE opens a stream of its own')
    case 'MESSAGE':
      if (call.message !== undefined) messageToExecutor(state, framework, call.message)
      return accepted
    case 'ACCEPT_INVERSE_OFFERS':
      if (call.accept_inverse_offers !== undefined) {
        answerInverseOffers(state, framework, 'ACCEPT', call.accept_inverse_offers)
      }
      return accepted
    case 'DECLINE_INVERSE_OFFERS':
      if (call.decline_inverse_offers !== undefined) {
        answerInverseOffers(state, framework, 'DECLINE', call.decline_inverse_offers)
      }
      return accepted
    // The allocator does not listen to REQUEST.
    case 'REQUEST':
    // No status of an operation has a uuid here, so there is nothing to acknowledge.
    case 'ACKNOWLEDGE_OPERATION_STATUS':
    case 'UNKNOWN':
    case undefined:
      break
  }
  return accepted
}

/** KILL of a task that does not run is a question: the answer is its reconciliation. */
function kill(
  state: ClusterState,
  framework: Framework,
  { task_id: id, agent_id: agentId, kill_policy: policy }: NonNullable<SchedulerCall['kill']>,
): void {
  const taskId = id.value
  const task = state.tasks.get(framework.record.frameworkId, taskId)
  if (task === undefined || !isHolding(task.record)) {
    return reconcile(state, framework, [{ taskId, agentId: agentId?.value }])
  }
  const isElsewhere = agentId !== undefined && agentId.value !== task.record.agentId
  if (!isElsewhere) requestKill(state, task, graceOf(state, task.record, policy))
}

/** The agent ends an executor, and its tasks with it; a command task is its own executor. */
function shutdown(
  state: ClusterState,
  { record: { frameworkId } }: Framework,
  { executor_id: executor, agent_id: agentId }: NonNullable<SchedulerCall['shutdown']>,
): void {
  const connection = state.agents.get(agentId.value)?.connection
  const place = { agentId: agentId.value, frameworkId, executorId: executor.value }
  const running = state.tasks.executorAt(place)
  for (const task of state.tasks.of(frameworkId)) {
    const { info, taskId } = task.record
    const isMeant =
      task.record.agentId === agentId.value &&
      (info.executor?.executor_id.value ?? taskId) === executor.value
    if (isMeant && isHolding(task.record)) requestKill(state, task, graceOf(state, task.record))
  }
  if (running === undefined || connection === undefined) return
  // After the kills, which wait until they are written: its tasks have then been killed, however fast it ends.
  const executorId = executor.value
  state.outbox.toAgent(connection, { type: 'shutdown-executor', frameworkId, executorId })
}
