import { agentNodeId } from '@conclave/crypto'
import { ownLabelPrefix, type TaskInfo } from '@conclave/model'
import type { DriverQuestion } from '@conclave/resolver'

/** What a driver is told of a secret and of the task that needs it. Source: reference/resolvers.md §5.1. */
export function driverQuestion(
  secret: {
    readonly driver: string
    readonly path: string
    readonly labels: Readonly<Record<string, string>>
  },
  { container, name, task_id: { value: taskId } }: TaskInfo,
  clusterId: string,
  agentId: string,
): DriverQuestion {
  const { service, hostname = '', mesos } = container ?? {}
  const { task_id: ofService, slot, node_id: nodeId } = service?.place ?? {}
  return {
    driver: secret.driver,
    secretName: secret.path,
    secretLabels: Object.fromEntries(
      Object.entries(secret.labels).filter(([label]) => !label.startsWith(ownLabelPrefix)),
    ),
    serviceId: service?.id ?? '',
    serviceName: service?.name ?? '',
    serviceLabels: service?.labels ?? {},
    serviceHostname: hostname,
    taskId: ofService ?? taskId,
    taskName:
      service === undefined || ofService === undefined
        ? name
        : `${service.name}.${slot ?? ''}.${ofService}`,
    taskImage: mesos?.image?.docker?.name ?? '',
    nodeId: nodeId ?? agentNodeId(clusterId, agentId),
  }
}
