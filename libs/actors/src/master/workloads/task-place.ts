import { agentNodeId } from '@conclave/crypto'
import type { TaskSpec } from '@conclave/model'
import type { Node, WorkloadTask } from '@conclave/workloads'

/** A template with what its own templates may ask for: which task this one is, and where it is launched. */
export function withPlace(
  template: TaskSpec,
  { id, slot }: WorkloadTask,
  node: Pick<Node, 'agentId' | 'hostname' | 'platform'> | undefined,
  clusterId: string,
): TaskSpec {
  const { container } = template
  if (container?.service === undefined || node === undefined) return template
  const { agentId, hostname, platform } = node
  const place = {
    task_id: id,
    slot,
    node_id: agentNodeId(clusterId, agentId),
    hostname,
    ...platform,
  }
  return { ...template, container: { ...container, service: { ...container.service, place } } }
}
