import { ConclaveError } from '@conclave/kernel'
import type { TerminalSize } from '@conclave/model'
import { AccessDenied, NotLeader, TaskNotFound, TaskNotRunning, Unavailable } from './errors.ts'
import { askLeader, failedAnswer, led, type LedOptions } from './led.ts'
import { LedSession, serveSession } from './led-session.ts'
import type {
  Caller,
  ExecWanted,
  LogsWanted,
  TaskApi,
  TaskSession,
  TaskUsage,
  TaskView,
} from './master-api.ts'
import type { PeerPlace } from './members.ts'
import { callsTo, type PeerAnswer, type TaskQuestion } from './peer-questions.ts'
import type { AskedBy, FromSession, PeerLine, SessionOpening, ToSession } from './peer-sessions.ts'
import { operatorResource } from './resources.ts'

/**
 * Tasks, asked of any master: only the leader has a way into containers, so one that does not lead asks it on the
 * caller's behalf. Whether the caller may is decided, and put on record, by both.
 */
export class LedTasks implements TaskApi {
  readonly #options: LedOptions<TaskApi>

  constructor(options: LedOptions<TaskApi>) {
    this.#options = options
  }

  list(caller: Caller): Promise<readonly TaskView[]> {
    return this.#options.own.list(caller)
  }

  find(caller: Caller, taskId: string): Promise<TaskView> {
    return this.#options.own.find(caller, taskId)
  }

  kill(caller: Caller, taskId: string): Promise<TaskView> {
    const { own } = this.#options
    return led(
      this.#options,
      () => own.kill(caller, taskId),
      async (leader) => {
        const task = await this.#ask(leader, caller, { do: 'kill', taskId })
        if (task === undefined) throw new NotLeader()
        return task
      },
    )
  }

  signal(caller: Caller, taskId: string, signal: string | undefined): Promise<void> {
    const { own } = this.#options
    return led(
      this.#options,
      () => own.signal(caller, taskId, signal),
      async (leader) => {
        await this.#ask(leader, caller, { do: 'signal', taskId, signal })
      },
    )
  }

  usage(caller: Caller, taskId: string): Promise<TaskUsage> {
    const { own } = this.#options
    return led(
      this.#options,
      () => own.usage(caller, taskId),
      async (leader) => {
        const answer = await this.#asked(leader, caller, { do: 'usage', taskId })
        if (answer.answer === 'task-usage') return answer.usage
        answered(answer, caller, taskId)
        throw new NotLeader()
      },
    )
  }

  resize(caller: Caller, taskId: string, size: TerminalSize): Promise<void> {
    const { own } = this.#options
    return led(
      this.#options,
      () => own.resize(caller, taskId, size),
      async (leader) => {
        await this.#ask(leader, caller, { do: 'resize', taskId, size })
      },
    )
  }

  logs(caller: Caller, taskId: string, wanted: LogsWanted): Promise<TaskSession> {
    const { own } = this.#options
    return led(
      this.#options,
      () => own.logs(caller, taskId, wanted),
      (leader) => this.#open(leader, caller, { open: 'logs', taskId, by: byOf(caller), wanted }),
    )
  }

  exec(caller: Caller, taskId: string, wanted: ExecWanted): Promise<TaskSession> {
    const { own } = this.#options
    return led(
      this.#options,
      () => own.exec(caller, taskId, wanted),
      (leader) => this.#open(leader, caller, { open: 'exec', taskId, by: byOf(caller), wanted }),
    )
  }

  async #ask(
    leader: PeerPlace,
    caller: Caller,
    what: TaskQuestion['what'],
  ): Promise<TaskView | undefined> {
    return answered(await this.#asked(leader, caller, what), caller, what.taskId)
  }

  #asked(leader: PeerPlace, caller: Caller, what: TaskQuestion['what']): Promise<PeerAnswer> {
    return askLeader(this.#options.peers, leader, { ask: 'task', what, by: byOf(caller) })
  }

  /** The same for what goes on. @throws NotLeader, so that the caller asks again */
  async #open(leader: PeerPlace, caller: Caller, opening: SessionOpening): Promise<TaskSession> {
    for (const at of callsTo(leader.addresses)) {
      const line = this.#options.peers.open(at, leader.masterId, opening)
      const heard = line.heard()[Symbol.asyncIterator]()
      const { value: first, done } = await heard.next()
      if (done === true) continue
      if (first.say === 'opened') return new LedSession(line, heard)
      line.hangUp()
      const { code, why } = first.say === 'refused' ? first : { code: '', why: 'no answer to that' }
      throw errorOf(code, why, caller, opening.taskId)
    }
    throw new NotLeader(leader.masterId)
  }
}

/** What the leader did for another master, as an answer to it. */
export async function doForPeer(own: TaskApi, { what, by }: TaskQuestion): Promise<PeerAnswer> {
  try {
    const caller = callerOf(by)
    if (what.do === 'kill') return { answer: 'task', task: await own.kill(caller, what.taskId) }
    if (what.do === 'usage') {
      return { answer: 'task-usage', usage: await own.usage(caller, what.taskId) }
    }
    if (what.do === 'signal') await own.signal(caller, what.taskId, what.signal)
    else await own.resize(caller, what.taskId, what.size)
    return { answer: 'task' }
  } catch (error) {
    return failedAnswer(error)
  }
}

/** The same for a session, from its opening to its end. */
export async function serveForPeer(
  own: TaskApi,
  opening: SessionOpening,
  line: PeerLine<FromSession, ToSession>,
): Promise<void> {
  let session: TaskSession
  try {
    const { taskId, by } = opening
    session =
      opening.open === 'exec'
        ? await own.exec(callerOf(by), taskId, opening.wanted)
        : await own.logs(callerOf(by), taskId, opening.wanted)
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    line.say({ say: 'refused', code: error.code, why: error.message })
    return line.hangUp()
  }
  await serveSession(session, line)
}

const byOf = ({ principal, requestId, expiresAtMs }: Caller): AskedBy => ({
  uid: principal.uid,
  requestId,
  expiresAtMs,
})

const callerOf = ({ uid, requestId, expiresAtMs }: AskedBy): Caller => ({
  principal: { uid },
  requestId,
  expiresAtMs,
})

function answered(answer: PeerAnswer, caller: Caller, taskId: string): TaskView | undefined {
  if (answer.answer === 'task') {
    const { task } = answer
    return task && { ...task, reason: task.reason, message: task.message }
  }
  if (answer.answer === 'failed') throw errorOf(answer.code, answer.why, caller, taskId)
  throw new NotLeader()
}

/** As if it had been thrown here. */
function errorOf(code: string, why: string, { principal }: Caller, taskId: string): Error {
  switch (code) {
    case 'cluster.not-leader':
      return new NotLeader()
    case 'task.not-running':
      return new TaskNotRunning(taskId)
    case 'task.not-found':
      return new TaskNotFound(taskId)
    case 'access.denied':
      return new AccessDenied(principal.uid, 'administer', operatorResource)
    default:
      return new Unavailable(why)
  }
}
