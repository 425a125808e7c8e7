import {
  FromSession,
  PeerAnswer,
  PeerQuestion,
  PeerSilent,
  SessionOpening,
  ToSession,
  type CalledAt,
  type PeerAsk,
  type PeerLine,
} from '@conclave/actors'
import { utf8, utf8Text } from '@conclave/kernel'
import {
  askPeer,
  LinkRefused,
  nobodyThere,
  openPeerLine,
  type Conversation,
  type PeerTalk,
  type TlsIdentity,
} from '@conclave/runtime'

/** Each question and conversation over a connection of its own, to the port where masters take each other's messages. */
export function talkOverTcp(clusterId: string, identity: () => TlsIdentity): PeerTalk {
  return {
    ask: async ({ at, ...wanted }) => {
      if (at === undefined) throw new LinkRefused('nobody knows where it is')
      return askPeer({ clusterId, identity: identity(), ...wanted, at })
    },
    open: ({ at, ...wanted }) =>
      at === undefined
        ? nobodyThere
        : openPeerLine({ clusterId, identity: identity(), ...wanted, at }),
  }
}

/** Questions between masters as JSON. */
export class PeerAsks implements PeerAsk {
  readonly #talk: () => PeerTalk

  constructor(talk: () => PeerTalk) {
    this.#talk = talk
  }

  async ask(at: CalledAt, masterId: string, question: PeerQuestion): Promise<PeerAnswer> {
    try {
      const answer = await this.#talk().ask({
        at,
        masterId,
        question: utf8(JSON.stringify(question)),
        timeoutMs: timeoutsMs[question.ask],
      })
      return PeerAnswer.parse(JSON.parse(utf8Text(answer)))
    } catch (cause) {
      throw new PeerSilent(masterId, at, cause)
    }
  }

  open(at: CalledAt, masterId: string, opening: SessionOpening): PeerLine<ToSession, FromSession> {
    const end = this.#talk().open({
      at,
      masterId,
      opening: utf8(JSON.stringify(opening)),
      timeoutMs: openingMs,
    })
    return lineOf(end, (json) => FromSession.parse(json))
  }
}

/** The leader looks at a fresh state, and puts the session on record first. */
const openingMs = 9000

/** What was opened here, and by a conversation of which the first word is said then. @throws LinkRefused when it is none */
export function takeLine(
  bytes: Uint8Array,
  end: Conversation,
): readonly [SessionOpening, PeerLine<FromSession, ToSession>] {
  try {
    const opening = SessionOpening.parse(JSON.parse(utf8Text(bytes)))
    return [opening, lineOf(end, (json) => ToSession.parse(json))]
  } catch {
    throw new LinkRefused('what it opens is no session')
  }
}

/** Messages as JSON. What cannot be understood ends the line. */
const lineOf = <Said, Heard>(
  end: Conversation,
  parse: (json: unknown) => Heard,
): PeerLine<Said, Heard> => ({
  say: (message) => end.say(utf8(JSON.stringify(message))),
  room: () => end.room(),
  heard: () => understood(end, parse),
  hangUp: () => end.hangUp(),
})

async function* understood<Heard>(
  end: Conversation,
  parse: (json: unknown) => Heard,
): AsyncGenerator<Heard> {
  for await (const bytes of end.heard()) {
    let message: Heard
    try {
      message = parse(JSON.parse(utf8Text(bytes)))
    } catch {
      end.hangUp()
      return
    }
    yield message
  }
}

/** Who is asked to let somebody in, or to change who votes, waits for the log; the rest is known at once. */
const timeoutsMs = {
  who: 3000,
  membership: 3000,
  farewell: 3000,
  leave: 9000,
  join: 9000,
  administer: 35_000,
  task: 9000,
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
