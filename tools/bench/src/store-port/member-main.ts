import { monitorEventLoopDelay } from 'node:perf_hooks'
import { StoreMember, type StorePlan } from './store-member.ts'

/** What the process of a member is asked, over the channel to whoever started it. */
export type MemberQuestion = { readonly ask: 'state' } | { readonly ask: 'forget-pauses' }

/** What it says: once when it serves, at each change of role, and when asked. */
export type MemberNews =
  | { readonly type: 'serving'; readonly port: number; readonly startedInMs: number }
  | { readonly type: 'role'; readonly role: string }
  | {
      readonly type: 'state'
      readonly role: string
      readonly appliedIndex: number
      readonly revision: number
      readonly residentBytes: number
      /** To its disk since it started, in whole pages. */
      readonly writtenBytes: number
      /** The longest that its event loop was held up since it was told to forget. */
      readonly pauseMaxMs: number
    }

const say = (news: MemberNews): void => {
  process.send?.(news)
}

const startedAt = performance.now()
// Whoever started it is gone: nobody else would end it.
process.once('disconnect', () => process.exit(0))
const loop = monitorEventLoopDelay({ resolution: 1 })
loop.enable()
const member = await StoreMember.start(JSON.parse(process.argv[2] ?? '') as StorePlan)
const { replica, store } = member
let role = ''
const tellRole = (): void => {
  if (replica.role === role) return
  role = replica.role
  say({ type: 'role', role })
}
replica.onRole(tellRole)
say({ type: 'serving', port: member.port, startedInMs: performance.now() - startedAt })
tellRole()

process.on('message', (question: MemberQuestion) => {
  if (question.ask === 'forget-pauses') return loop.reset()
  say({
    type: 'state',
    role: replica.role,
    appliedIndex: replica.appliedIndex,
    revision: store.revision,
    residentBytes: process.memoryUsage().rss,
    writtenBytes: member.disk.writtenBytes,
    pauseMaxMs: loop.max / 1e6,
  })
})
process.once('SIGTERM', () => void member.stop().then(() => process.exit(0)))
