import { differencesOf } from './differ.ts'
import type { EngineClient } from './engine-client.ts'
import { requestFor, situationOf, type Furnished, type Situation } from './error-requests.ts'
import { Identities } from './identities.ts'
import { recordedErrors } from './recordings.ts'
import { headDifferences, jsonIn, type Replayed } from './replay-walkthrough.ts'

/** Provokes each error that was recorded in `situation`, and compares status, head and message. */
export async function replayErrors(
  engine: EngineClient,
  situation: Situation,
  has: Furnished,
): Promise<readonly Replayed[]> {
  const all: Replayed[] = []
  for (const [at, error] of recordedErrors.entries()) {
    if (situationOf(error) !== situation) continue
    const { method, path, body, message } = requestFor(error, has)
    const answer = await engine.ask(method, path, body === undefined ? {} : { body })
    const head = headDifferences(method, error.status, answer, isRouted(message))
    const differences =
      head.length > 0
        ? head
        : differencesOf({ message: inOrder(message) }, ordered(jsonIn(answer)), new Identities())
    all.push({ exchange: nameOf(at), differences })
  }
  return all
}

/** Where no handler was reached: what the head of such an answer had was not written down. */
const isRouted = (message: string): boolean =>
  message !== 'page not found' && !message.includes('is too new')

/** Services are named in any order. */
const inOrder = (message: string): string =>
  message.replace(/(?<=following services: ).*$/, (names) => names.split(', ').sort().join(', '))

const ordered = (answer: unknown): unknown =>
  JSON.parse(JSON.stringify(answer), (key, value: unknown) =>
    key === 'message' && typeof value === 'string' ? inOrder(value) : value,
  )

/** Such as `error 12 DELETE /secrets/nosuch, 404 secret nosuch not found`. */
export function nameOf(at: number): string {
  const { method, path, status, message } = recordedErrors[at] ?? {}
  return `error ${at} ${method} ${path}, ${status} ${message}`
}
