import { PeerAnswer, PeerQuestion, PeerSilent, type Address, type PeerAsk } from '@conclave/actors'
import { utf8, utf8Text } from '@conclave/kernel'
import { askPeer, LinkRefused, type TlsIdentity } from '@conclave/runtime'

/** Questions between masters as JSON, over the port where they also take each other's messages. */
export class PeerAsks implements PeerAsk {
  readonly #clusterId: string
  readonly #identity: () => TlsIdentity

  constructor(clusterId: string, identity: () => TlsIdentity) {
    this.#clusterId = clusterId
    this.#identity = identity
  }

  async ask(at: Address, masterId: string, question: PeerQuestion): Promise<PeerAnswer> {
    try {
      const answer = await askPeer({
        clusterId: this.#clusterId,
        identity: this.#identity(),
        at,
        masterId,
        question: utf8(JSON.stringify(question)),
        timeoutMs: timeoutsMs[question.ask],
      })
      return PeerAnswer.parse(JSON.parse(utf8Text(answer)))
    } catch (cause) {
      throw new PeerSilent(masterId, at.host, at.port, cause)
    }
  }
}

/** Who is asked to let somebody in, or to change who votes, waits for the log; the rest is known at once. */
const timeoutsMs = {
  who: 3000,
  membership: 3000,
  farewell: 3000,
  join: 9000,
  administer: 35_000,
} as const

/** A question as it came in, and what is answered. @throws LinkRefused when it is none */
export async function answerPeer(
  bytes: Uint8Array,
  answer: (question: PeerQuestion) => Promise<PeerAnswer>,
): Promise<Uint8Array> {
  return utf8(JSON.stringify(await answer(readQuestion(bytes))))
}

function readQuestion(bytes: Uint8Array): PeerQuestion {
  try {
    return PeerQuestion.parse(JSON.parse(utf8Text(bytes)))
  } catch {
    throw new LinkRefused('what it asks is no question')
  }
}
