import type { Operation, OperationStatus, SchedulerCall } from '@conclave/model'
import type { ClusterState, Framework } from './state.ts'

type Asked = NonNullable<SchedulerCall['reconcile_operations']>['operations'][number]

/** What an operation that changes resources is told: none of them exists here. */
export const operationUnsupported = (type: Operation['type']): string =>
  `Invalid ${type ?? 'UNKNOWN'} operation: reservations and persistent volumes are not supported by this master`

/**
 * Refuses an operation that launches nothing. As in Mesos, the framework hears of it when it gave the
 * operation an id, and otherwise nobody but the operators do.
 */
export function refuseOperation(
  state: ClusterState,
  { record: { frameworkId }, streamId }: Framework,
  operation: Operation,
  why: string,
): void {
  const { id: operationId } = operation
  if (operationId !== undefined && streamId !== undefined) {
    tell(state, streamId, {
      operation_id: operationId,
      state: 'OPERATION_ERROR',
      message: why,
      converted_resources: [],
    })
  }
  state.outbox.emit({
    type: 'operation.refused',
    frameworkId,
    operation: operation.type ?? 'UNKNOWN',
    ...(operationId === undefined ? {} : { operationId: operationId.value.slice(0, 1024) }),
    why: why.slice(0, 1024),
  })
}

/** RECONCILE_OPERATIONS: there are none, so each one asked for is unknown, or lost with its agent. */
export function reconcileOperations(
  state: ClusterState,
  { streamId }: Framework,
  asked: readonly Asked[],
): void {
  if (streamId === undefined) return
  for (const one of asked) {
    const { operation_id, agent_id, resource_provider_id } = one
    const told = unknownOperation(state, agent_id?.value)
    const where = { agent_id, resource_provider_id }
    tell(state, streamId, { operation_id, ...told, converted_resources: [], ...where })
  }
}

function unknownOperation(
  state: ClusterState,
  agentId: string | undefined,
): Pick<OperationStatus, 'state' | 'message'> {
  const unknown = 'OPERATION_UNKNOWN'
  if (agentId === undefined) {
    const message = "Reconciliation: Operation is unknown and no 'agent_id' was provided"
    return { state: unknown, message }
  }
  const agent = state.agents.get(agentId)
  if (agent === undefined) {
    return { state: unknown, message: 'Reconciliation: Both operation and agent are unknown' }
  }
  if (agent.record.state === 'unreachable') {
    return { state: 'OPERATION_UNREACHABLE', message: 'Reconciliation: Agent is unreachable' }
  }
  if (agent.record.state === 'active' && agent.connection === undefined) {
    const message = 'Reconciliation: Agent is recovered but has not re-registered'
    return { state: 'OPERATION_RECOVERING', message }
  }
  return { state: unknown, message: 'Reconciliation: Operation is unknown' }
}

function tell(state: ClusterState, streamId: string, status: OperationStatus): void {
  state.outbox.toFramework(streamId, {
    type: 'UPDATE_OPERATION_STATUS',
    update_operation_status: { status },
  })
}
