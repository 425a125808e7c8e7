import { scalarOf } from '../resources.ts'
import type { ClusterState } from '../state.ts'
import { isHolding } from '../tasks.ts'

const counted = ['TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING'] as const

/** What Mesos' dashboards ask a leading master for, by the names they ask with. */
export function metricsOf(state: ClusterState): Readonly<Record<string, number>> {
  const agents = [...state.agents.values()]
  const present = agents.filter(({ connection }) => connection !== undefined)
  const frameworks = [...state.frameworks.values()].filter(
    ({ record }) => record.state !== 'completed',
  )
  const connected = frameworks.filter(({ streamId }) => streamId !== undefined).length
  const records = Array.from(state.tasks.all(), ({ record }) => record)
  const holding = records.filter(isHolding)
  return {
    'master/elected': 1,
    'master/uptime_secs': (state.nowMs - state.startedAtMs) / 1000,
    'master/slaves_active': present.length,
    'master/slaves_connected': present.length,
    'master/slaves_disconnected': agents.filter(({ record }) => record.state === 'disconnected')
      .length,
    'master/slaves_unreachable': agents.filter(({ record }) => record.state === 'unreachable')
      .length,
    'master/frameworks_active': connected,
    'master/frameworks_connected': connected,
    'master/frameworks_disconnected': frameworks.length - connected,
    'master/outstanding_offers': Iterator.from(state.offers.all()).reduce((sum) => sum + 1, 0),
    ...Object.fromEntries(
      counted.map((name) => [
        `master/${name.replace('TASK_', 'tasks_').toLowerCase()}`,
        holding.filter(({ state: told }) => told === name).length,
      ]),
    ),
    'master/tasks_unreachable': records.filter(({ state: told }) => told === 'TASK_UNREACHABLE')
      .length,
    ...Object.fromEntries(
      ['cpus', 'mem', 'disk', 'gpus'].flatMap((name) => {
        const total = sum(present.map((agent) => scalarOf(agent.total, name)))
        const used = sum(
          present.map(({ record }) => scalarOf(state.tasks.usedOn(record.agentId), name)),
        )
        return [
          [`master/${name}_total`, total],
          [`master/${name}_used`, used],
          [`master/${name}_percent`, total === 0 ? 0 : used / total],
        ]
      }),
    ),
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)
