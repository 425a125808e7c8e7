import { agentNodeId } from '@conclave/crypto'
import type { TaskSpec } from '@conclave/model'
import { isPerNode, type Node, type WorkloadSpec, type WorkloadTask } from '@conclave/workloads'

/** A template with what its own templates may ask for: which task this one is, and where it is launched. */
export function withPlace(
  template: TaskSpec,
  { id, slot }: WorkloadTask,
  spec: WorkloadSpec,
  node: Pick<Node, 'agentId' | 'hostname' | 'platform'> | undefined,
  clusterId: string,
): TaskSpec {
  const { container } = template
  if (container?.service === undefined || node === undefined) return template
  const { agentId, hostname, platform } = node
  const nodeId = agentNodeId(clusterId, agentId)
  const place = {
    task_id: id,
    // As SwarmKit has it: where there is no number, or it is 0, the node stands for it.
    slot: isPerNode(spec) || slot === '0' ? nodeId : slot,
    node_id: nodeId,
    hostname,
    ...platform,
  }
  return { ...template, container: { ...container, service: { ...container.service, place } } }
}
