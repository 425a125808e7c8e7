import { existsSync, readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = 100

/** What the threads of a process of Node are for. */
export const threadKinds = ['main', 'v8', 'disk', 'other'] as const
export type ThreadKind = (typeof threadKinds)[number]

export type ThreadTimes = Readonly<Record<ThreadKind, number>>

/** By the names that Node gives them. The first thread is the one that runs our code. */
const kindByName: Readonly<Record<string, ThreadKind>> = { V8Worker: 'v8', 'libuv-worker': 'disk' }

/**
 * The processor time that the threads of a process have used so far, in microseconds, by what they are for;
 * undefined where the system does not tell. In steps of 10 ms for each thread.
 */
export function threadTimesUs(pid: number): ThreadTimes | undefined {
  if (process.platform !== 'linux') return undefined
  const times = { main: 0, v8: 0, disk: 0, other: 0 }
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    // proc(5): the name stands in parentheses and may hold anything; utime and stime are fields 14 and 15.
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'))
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const kind = thread === `${pid}` ? 'main' : (kindByName[name] ?? 'other')
    times[kind] += ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond
  }
  return times
}

/**
 * How long the first thread of a process was ready to run so far while others had the processors, in
 * microseconds; undefined where the system does not tell.
 */
export function waitedTimeUs(pid: number): number | undefined {
  // Linux, Documentation/scheduler/sched-stats.rst: ns on a processor, ns waiting for one, and how often.
  const file = `/proc/${pid}/schedstat`
  if (!existsSync(file)) return undefined
  return Number(readFileSync(file, 'utf8').split(' ')[1]) / 1000
}
