import {
  boxContext,
  createBoxKeyPair,
  CryptographicFailure,
  openBox,
  type BoxKeyPair,
} from '@conclave/crypto'
import { uuid, wipe, type Random } from '@conclave/kernel'
import { parseSecretPath, PathInvalid, type Resolution, type Secret } from '@conclave/model'
import { gather } from './gather.ts'
import {
  wipeResolved,
  type Resolved,
  type ResolvingTask,
  type Resolver,
  type WantedSecret,
} from './resolver.ts'

/** What a master is asked: secrets of one container, for a key that only this question has. */
export interface StoreQuestion extends ResolvingTask {
  readonly requestId: string
  /** base64 of the 32 bytes of an X25519 key. */
  readonly publicKey: string
  readonly secrets: readonly WantedSecret[]
}

export interface StoreResolverOptions {
  readonly random: Random
  /** Carries a question to whoever leads. Its answer comes back through {@link StoreResolver.answered}. */
  readonly ask: (question: StoreQuestion) => void
  /** A master that sends more than this for one secret is not believed. */
  readonly secretSizeBytesMax?: number
}

interface Pending {
  readonly question: StoreQuestion
  readonly keyPair: BoxKeyPair
  readonly answer: (resolved: readonly Resolved[]) => void
}

const usualSizeBytesMax = 1_048_576

/** An answer with four boxes of 1 MiB, in base64, still fits into one message of an agent link (8 MiB). */
const secretsPerQuestion = 4

/**
 * Resolves through the store: a master releases what the task was granted, each value in a box that
 * opens with this question's key pair alone, for this task, container, path and version alone. The
 * pair is forgotten with the answer, so a box that somebody recorded opens nowhere again.
 */
export class StoreResolver implements Resolver {
  readonly #options: StoreResolverOptions
  readonly #pending = new Map<string, Pending>()

  constructor(options: StoreResolverOptions) {
    this.#options = options
  }

  resolve(
    task: ResolvingTask,
    wanted: readonly WantedSecret[],
    answer: (resolved: readonly Resolved[]) => void,
  ): () => void {
    const parts: WantedSecret[][] = []
    for (let at = 0; at < wanted.length; at += secretsPerQuestion) {
      parts.push(wanted.slice(at, at + secretsPerQuestion))
    }
    return gather(
      wanted,
      parts.map((some) => ({ wanted: some, ask: (answered) => this.#ask(task, some, answered) })),
      answer,
    )
  }

  /** A master's answer. One that nobody waits for is dropped unopened. */
  answered(requestId: string, resolutions: readonly Resolution[]): void {
    const pending = this.#pending.get(requestId)
    if (pending === undefined) return
    this.#pending.delete(requestId)
    pending.answer(this.#open(pending, resolutions))
  }

  /** Asks again what has no answer yet: the connection that would have brought it is gone. */
  askAgain(): void {
    for (const { question } of this.#pending.values()) this.#options.ask(question)
  }

  #ask(
    { frameworkId, taskId, containerId }: ResolvingTask,
    secrets: readonly WantedSecret[],
    answer: Pending['answer'],
  ): () => void {
    const { random, ask } = this.#options
    const keyPair = createBoxKeyPair(random)
    const requestId = uuid(random)
    const publicKey = Buffer.from(keyPair.publicKey).toString('base64')
    const question = { requestId, frameworkId, taskId, containerId, publicKey, secrets }
    this.#pending.set(requestId, { question, keyPair, answer })
    ask(question)
    return () => this.#pending.delete(requestId)
  }

  #open(pending: Pending, resolutions: readonly Resolution[]): readonly Resolved[] {
    const { secrets } = pending.question
    if (resolutions.length !== secrets.length) {
      const why = `the master answered ${resolutions.length} of ${secrets.length} secrets`
      return secrets.map(() => ({ outcome: 'invalid', why }))
    }
    const resolved: Resolved[] = []
    try {
      for (const [index, resolution] of resolutions.entries()) {
        resolved.push(this.#openOne(pending, index, resolution))
      }
      return resolved
    } catch (bug) {
      wipeResolved(resolved)
      throw bug
    }
  }

  #openOne({ question, keyPair }: Pending, index: number, resolution: Resolution): Resolved {
    if (resolution.outcome !== 'value') return resolution
    const { path, version, sizeBytes, box } = resolution
    const secret = question.secrets[index]?.secret
    if (secret === undefined || !mayAnswer(secret, path)) {
      return { outcome: 'invalid', why: 'the master answered for another secret' }
    }
    const sizeBytesMax = this.#options.secretSizeBytesMax ?? usualSizeBytesMax
    if (sizeBytes > sizeBytesMax) {
      return {
        outcome: 'invalid',
        why: `the secret has ${sizeBytes} bytes; the limit is ${sizeBytesMax}`,
      }
    }
    const { taskId, containerId } = question
    const context = boxContext({ taskId, containerId, path, version })
    try {
      const bytes = openBox(keyPair, Buffer.from(box, 'base64'), context)
      if (bytes.reveal().length === sizeBytes) return { outcome: 'value', bytes, path, version }
      wipe(bytes)
    } catch (failure) {
      if (!(failure instanceof CryptographicFailure)) throw failure
    }
    return { outcome: 'invalid', why: `the box of ${path} does not open for this container` }
  }
}

/**
 * Whether a master may answer `secret` with what is stored at `path`: a confused one must not hand a
 * container the right bytes under the wrong name. A `key` selects within the secret, not another one.
 */
const mayAnswer = ({ reference, value }: Secret, path: string): boolean =>
  reference === undefined
    ? path === `inline/${value?.sealed?.id ?? ''}`
    : path === canonical(reference.name)

function canonical(name: string): string | undefined {
  try {
    return parseSecretPath(name)
  } catch (fault) {
    if (!(fault instanceof PathInvalid)) throw fault
    return undefined
  }
}
