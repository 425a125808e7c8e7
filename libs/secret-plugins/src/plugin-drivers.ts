import { readFile } from 'node:fs/promises'
import { Redacted, takeJsonField, utf8Text, wipe } from '@conclave/kernel'
import type { DriverAnswer, DriverQuestion, SecretDrivers } from '@conclave/resolver'
import { HttpClient, HttpFailed } from '@conclave/runtime'
import { z } from 'zod'
import { bytesOfBase64 } from './base64-bytes.ts'
import { engineDirectories, findPlugin, PluginUnusable, type PluginPlace } from './places.ts'
import type { PluginDirectories } from './places.ts'

export interface PluginDriversOptions {
  readonly directories?: PluginDirectories
  /** For a plug-in that is still starting. */
  readonly connectPausesMs?: readonly number[]
  /** For one answer. */
  readonly timeoutMs?: number
}

/** dockerd waits 1, 2, 4… seconds, half a minute in all; an agent waits for half a minute itself. */
const usualPausesMs = [250, 500, 1000, 2000, 4000]
const usualTimeoutMs = 10_000

/** 500 KiB, and not one byte of it, as for secrets that are stored. */
const dataBytesMax = 500 * 1024 - 1
const answerBytesMax = 2 * 1024 * 1024

const headers = {
  accept: 'application/vnd.docker.plugins.v1.2+json',
  'user-agent': 'Go-http-client/1.1',
}

const Activated = z.object({ Implements: z.array(z.string()).nullish() })
const Answer = z.object({ Err: z.string().nullish() })

type Refusal = Exclude<DriverAnswer, { outcome: 'value' }>

/**
 * Docker's plug-ins as drivers of secrets, asked over their sockets. Each container is given the bytes of a
 * call of its own, whatever `DoNotReuse` says: a value that may be shared need not be. Source:
 * reference/resolvers.md §5.1.
 */
export class PluginDrivers implements SecretDrivers {
  readonly #directories: PluginDirectories
  readonly #pausesMs: readonly number[]
  readonly #timeoutMs: number

  constructor({ directories, connectPausesMs, timeoutMs }: PluginDriversOptions = {}) {
    this.#directories = directories ?? engineDirectories
    this.#pausesMs = connectPausesMs ?? usualPausesMs
    this.#timeoutMs = timeoutMs ?? usualTimeoutMs
  }

  async has(name: string): Promise<boolean> {
    try {
      return (await findPlugin(name, this.#directories)) !== undefined
    } catch (failure) {
      if (failure instanceof PluginUnusable) return false
      throw failure
    }
  }

  async ask(question: DriverQuestion): Promise<DriverAnswer> {
    const { driver } = question
    try {
      const place = await findPlugin(driver, this.#directories)
      if (place === undefined) return refusal('not-found', `plugin "${shown(driver)}" not found`)
      const client = await this.#clientOf(place)
      try {
        const refused = await this.#activate(client, place, driver)
        return refused ?? (await this.#get(client, place, question))
      } finally {
        client.close()
      }
    } catch (failure) {
      if (failure instanceof PluginUnusable) {
        return refusal('unavailable', `plugin ${shown(driver)}: ${failure.message}`)
      }
      // Whoever asks needs an answer; the words of others' errors may hold anything.
      const why = failure instanceof HttpFailed ? failure.message : 'it could not be asked'
      return refusal('unavailable', `plugin ${shown(driver)}: ${why}`)
    }
  }

  async #clientOf({ socketPath, tls }: PluginPlace): Promise<HttpClient> {
    const [authorityPem, certificatePem, keyPem] = await Promise.all(
      [tls?.caFile, tls?.certFile, tls?.keyFile].map(textOf),
    )
    const hasIdentity = certificatePem !== undefined && keyPem !== undefined
    return new HttpClient({
      timeoutMs: this.#timeoutMs,
      bodyBytesMax: answerBytesMax,
      ...(socketPath !== undefined && { socketPath }),
      ...(authorityPem !== undefined && { authorityPem }),
      ...(hasIdentity && {
        identity: {
          certificatePem,
          authorityPem: authorityPem ?? '',
          privateKey: new Redacted(Buffer.from(keyPem)),
        },
      }),
    })
  }

  /** The handshake. A plug-in that is not there yet is waited for; what it says is not asked twice. */
  async #activate(
    client: HttpClient,
    { url }: PluginPlace,
    driver: string,
  ): Promise<Refusal | undefined> {
    const ask = () =>
      client.request({
        method: 'POST',
        url: new URL('/Plugin.Activate', url),
        body: new Uint8Array(0),
        headers,
      })
    const { status, body } = await retried(ask, this.#pausesMs)
    const told = Activated.safeParse(jsonOf(body))
    const isOne = told.success && told.data.Implements?.includes('secretprovider') === true
    if (status === 200 && isOne) return undefined
    return refusal('invalid', `plugin ${shown(driver)} is no secretprovider`)
  }

  async #get(
    client: HttpClient,
    { url }: PluginPlace,
    question: DriverQuestion,
  ): Promise<DriverAnswer> {
    const name = shown(question.driver)
    const { status, body } = await client.request({
      method: 'POST',
      url: new URL('/SecretProvider.GetSecret', url),
      body: JSON.stringify(requestOf(question)),
      headers,
    })
    try {
      return answerIn(body, status, name)
    } finally {
      wipe(body)
    }
  }
}

/** Its value is taken out before anything of the answer becomes text. */
function answerIn(body: Uint8Array, status: number, name: string): DriverAnswer {
  let field: ReturnType<typeof takeJsonField>
  try {
    field = takeJsonField(body, 'Value')
  } catch {
    return refusal('invalid', `plugin ${name} answered ${status}, and no JSON object`)
  }
  const value = field.kind === 'string' ? field.bytes : new Uint8Array(0)
  try {
    const told = Answer.safeParse(jsonOf(body))
    const error = told.success ? (told.data.Err ?? '') : 'its answer is of another shape'
    if (error !== '') return refusal('unavailable', `plugin ${name}: ${shown(error)}`)
    if (status !== 200) return refusal('unavailable', `plugin ${name} answered ${status}`)
    const bytes = bytesOfBase64(value)
    if (bytes === undefined) return refusal('invalid', `plugin ${name}: its Value is no base64`)
    if (bytes.length > 0 && bytes.length <= dataBytesMax) {
      return { outcome: 'value', bytes: new Redacted(bytes) }
    }
    wipe(bytes)
    const limits = 'secret data must be larger than 0 and less than 512000 bytes'
    return refusal('invalid', `plugin ${name}: ${limits}`)
  } finally {
    wipe(value)
  }
}

/** Fields that are empty are left out, as Go does. */
function requestOf(question: DriverQuestion): object {
  const fields: Readonly<Record<string, string | Readonly<Record<string, string>>>> = {
    SecretName: question.secretName,
    SecretLabels: question.secretLabels,
    ServiceHostname: question.serviceHostname,
    ServiceID: question.serviceId,
    ServiceName: question.serviceName,
    ServiceLabels: question.serviceLabels,
    TaskID: question.taskId,
    TaskName: question.taskName,
    TaskImage: question.taskImage,
    NodeID: question.nodeId,
  }
  const set = Object.entries(fields).filter(([, value]) =>
    typeof value === 'string' ? value !== '' : Object.keys(value).length > 0,
  )
  return { ...Object.fromEntries(set), ServiceEndpointSpec: {} }
}

const notThere = new Set(['ECONNREFUSED', 'ENOENT', 'EAGAIN'])

/** Again, after each pause, for as long as nobody listens. */
async function retried<T>(ask: () => Promise<T>, pausesMs: readonly number[]): Promise<T> {
  for (const pauseMs of pausesMs) {
    try {
      return await ask()
    } catch (failure) {
      const { code } = ((failure as { cause?: unknown }).cause ?? {}) as { code?: string }
      if (!(failure instanceof HttpFailed) || !notThere.has(code ?? '')) throw failure
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return ask()
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8Text(bytes))
  } catch {
    return undefined
  }
}

const textOf = async (file: string | undefined): Promise<string | undefined> =>
  file === undefined ? undefined : readFile(file, 'utf8')

const refusal = (outcome: Refusal['outcome'], why: string): Refusal => ({ outcome, why })

/** What others wrote, as far as a task's error may repeat it. */
const shown = (text: string): string => text.slice(0, 256).replaceAll(/[^\x20-\x7e]/g, '?')
