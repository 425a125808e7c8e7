import { ConclaveError } from '@conclave/kernel'
import { NotLeader } from './errors.ts'
import type { PeerPlace } from './members.ts'
import { callsTo, type PeerAnswer, type PeerAsk, type PeerQuestion } from './peer-questions.ts'

/** What any master is asked though only the leader can do it. */
export interface LedOptions<Api> {
  /** What this master says by itself: for the leader, the answer. */
  readonly own: Api
  readonly isLeader: () => boolean
  /** Who leads elsewhere, as far as this master knows. */
  readonly leader: () => PeerPlace | undefined
  readonly peers: PeerAsk
}

/** Done by this master where it leads, else by the leader that it knows. */
export async function led<T>(
  options: Pick<LedOptions<unknown>, 'isLeader' | 'leader'>,
  mine: () => Promise<T>,
  theirs: (leader: PeerPlace) => Promise<T>,
): Promise<T> {
  const leads = options.isLeader()
  try {
    // Also where somebody else leads: who may not ask is told so here, and that is on record here.
    return await mine()
  } catch (error) {
    const leader = options.leader()
    if (leads || leader === undefined || !(error instanceof NotLeader)) throw error
    return theirs(leader)
  }
}

/** At the first of its places where it answers. @throws NotLeader, so that the caller asks again */
export async function askLeader(
  peers: PeerAsk,
  { addresses, masterId }: PeerPlace,
  question: PeerQuestion,
): Promise<PeerAnswer> {
  for (const at of callsTo(addresses)) {
    const answer = await peers.ask(at, masterId, question).catch(() => undefined)
    if (answer !== undefined) return answer
  }
  throw new NotLeader(masterId)
}

/** What was thrown here, as it is told to the master that asked. */
export function failedAnswer(error: unknown): PeerAnswer {
  if (!(error instanceof ConclaveError)) throw error
  return { answer: 'failed', code: error.code, why: error.message }
}
