import { parentPort, workerData } from 'node:worker_threads'
import {
  moduleRefusals,
  type CreateSecretResolver,
  type SecretResolverModule,
} from '@conclave/resolver/module'
import type { FromWorker, ToWorker, WorkerQuestion, WorkerStart } from './worker-protocol.ts'

/*
 * The thread that a resolver module runs in. It lets the module answer or refuse, and believes nothing:
 * not the type of an answer, its size, nor its time. Of what a module throws only what is meant to be
 * shown leaves the thread.
 */

const start = workerData as WorkerStart
const port = parentPort
if (port === null) throw new Error('this file is the entry of a thread')

const say = (message: FromWorker, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer)

const asked = new Map<number, AbortController>()

const shownLengthMax = 300

/** What may be said of an error: everything of a refusal, and only the name of a fault. */
function failureOf(error: unknown): { readonly code: string; readonly why: string } {
  const { code, message, name } = (error ?? {}) as Record<string, unknown>
  if (typeof code === 'string' && Object.hasOwn(moduleRefusals, code)) {
    const text = typeof message === 'string' ? message : ''
    return { code, why: text.slice(0, shownLengthMax) || code }
  }
  const shown = typeof name === 'string' && /^\w{1,40}$/.test(name) ? name : typeof error
  return { code: 'INTERNAL', why: `it failed (${shown})` }
}

/** The bytes of an answer in an array of their own; the module's are overwritten. */
function bytesOf(answer: unknown): Uint8Array | { readonly code: string; readonly why: string } {
  const data: unknown = (answer as { data?: unknown } | null | undefined)?.data
  if (!(data instanceof Uint8Array)) {
    const was = data === undefined ? 'without data' : `with data of type ${typeof data}`
    return { code: 'INVALID_RESPONSE', why: `it answered ${was}, where bytes are due` }
  }
  const { length } = data
  if (length > start.valueSizeBytesMax) {
    data.fill(0)
    const why = `its value has ${length} bytes; the limit is ${start.valueSizeBytesMax}`
    return { code: 'TOO_LARGE', why }
  }
  const bytes = new Uint8Array(length)
  bytes.set(data)
  data.fill(0)
  return bytes
}

async function answerTo(module: SecretResolverModule, question: WorkerQuestion): Promise<void> {
  const { id, secret, purpose, frameworkId, taskId, containerId, deadlineMs } = question
  const controller = new AbortController()
  asked.set(id, controller)
  try {
    const { signal } = controller
    const context = { signal, deadlineMs, purpose, frameworkId, taskId, containerId }
    const bytes = bytesOf(await module.resolve(secret, context))
    if (!(bytes instanceof Uint8Array)) say({ type: 'failed', id, ...bytes })
    else if (asked.has(id)) say({ type: 'value', id, data: bytes }, [bytes.buffer as ArrayBuffer])
    else bytes.fill(0)
  } catch (error) {
    say({ type: 'failed', id, ...failureOf(error) })
  } finally {
    asked.delete(id)
  }
}

async function create(): Promise<SecretResolverModule> {
  const { name, library, url, parameters } = start
  const exports = await import(url).catch((error: unknown) => {
    const { code } = error as { code?: string }
    throw new Error(`Error opening library: '${library}': ${code ?? failureOf(error).why}`)
  })
  const factory =
    (exports as Record<string, unknown>)[name] ?? (exports as { default?: unknown }).default
  if (typeof factory !== 'function') {
    throw new Error(
      `Error verifying module '${name}': the library exports no function of that name, and none as default`,
    )
  }
  const made: unknown = await Promise.resolve((factory as CreateSecretResolver)(parameters)).catch(
    (error: unknown) => {
      throw new Error(`Error loading module '${name}': ${failureOf(error).why}`)
    },
  )
  if (typeof (made as Partial<SecretResolverModule> | null)?.resolve !== 'function') {
    throw new Error(`Error verifying module '${name}': what it made has no function 'resolve'`)
  }
  return made as SecretResolverModule
}

async function close(module: SecretResolverModule): Promise<void> {
  for (const controller of asked.values()) controller.abort()
  asked.clear()
  await Promise.resolve(module.close?.()).catch(() => {})
  say({ type: 'closed' })
}

try {
  const module = await create()
  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'resolve':
        return void answerTo(module, message)
      case 'abandon':
        asked.get(message.id)?.abort()
        asked.delete(message.id)
        return
      case 'ping':
        return say({ type: 'pong' })
      case 'close':
        return void close(module)
    }
  })
  say({ type: 'ready' })
} catch (error) {
  const why = error instanceof Error ? error.message : 'it failed'
  // A factory that throws at once does so past the promise it should have answered with.
  const isOurs = why.startsWith('Error ')
  say({ type: 'refused', why: isOurs ? why : `Error loading module '${start.name}': it failed` })
}
