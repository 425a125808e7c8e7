import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { rememberedPrincipalOf, type Caller, type MasterApi } from '@conclave/actors'
import { parseSecretPath } from '@conclave/model'
import type { Lane, LaneHost } from '@conclave/runtime'
import { refusalOf, type Refusal } from './errors.ts'
import { ourFault } from './refuse.ts'
import { base, notAsJson, store, valueAnswer, wipeAtTheEnd } from './secrets-routes.ts'

const plainBase = `${base}${store.name}/`
/** Nothing that would have to be decoded, and no query. */
const plainId = /^[\w./-]{1,1024}$/

/**
 * The short way of a read: `GET` of one secret's newest version by somebody whose token is remembered, with
 * nothing about it that would have to be understood. All else goes by the routes, and what is answered here is
 * what they would answer, to the byte.
 */
export const readLane =
  (master: MasterApi) =>
  (host: LaneHost): Lane =>
  (request, response) => {
    const asked = askedIn(request)
    const who = asked && rememberedPrincipalOf(master.identity, asked.authorization)
    if (asked === undefined || who === undefined) return false
    const since = performance.now()
    response.on('close', () => {
      if (!response.writableFinished) return
      host.onAnswered('GET', response.statusCode, (performance.now() - since) / 1000)
    })
    const caller = { principal: who, requestId: randomUUID(), expiresAtMs: who.expiresAtMs }
    host.run(() => void read(master, caller, asked, response, host))
    return true
  }

async function read(
  master: MasterApi,
  caller: Caller,
  { id, accept }: Asked,
  response: ServerResponse,
  { log }: LaneHost,
): Promise<void> {
  try {
    const { metadata, bytes } = await master.secrets.read(caller, parseSecretPath(id))
    const answer = valueAnswer(accept, metadata.kind, bytes)
    if (answer === undefined) return refuse(response, notAsJson)
    wipeAtTheEnd(response, answer.body)
    end(response, 200, ['cache-control', 'no-store', 'content-type', answer.type], answer.body)
  } catch (error) {
    const refused = refusalOf(error)
    const { requestId } = caller
    if (refused === undefined) log.error({ err: error, reqId: requestId }, 'a request failed')
    refuse(response, refused ?? ourFault(requestId))
  }
}

interface Asked {
  readonly id: string
  readonly authorization: string
  readonly accept: string | undefined
}

/** What a request says, if it is no more than a read needs. In its headers names and values alternate. */
function askedIn({ method, url = '', rawHeaders }: IncomingMessage): Asked | undefined {
  if (method !== 'GET' || !url.startsWith(plainBase)) return undefined
  const id = url.slice(plainBase.length)
  if (!plainId.test(id)) return undefined
  let authorization: string | undefined
  let accept: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    if (name === 'authorization') {
      // Said twice it is refused (threats.md AU-14), and the routes say how.
      if (authorization !== undefined) return undefined
      authorization = rawHeaders[at + 1]
    } else if (name === 'accept') {
      if (accept !== undefined) return undefined
      accept = rawHeaders[at + 1]
    } else if (name === 'content-length' || name === 'transfer-encoding') {
      return undefined
    }
  }
  return authorization === undefined ? undefined : { id, authorization, accept }
}

function refuse(response: ServerResponse, { status, title, description, code }: Refusal): void {
  const type = 'application/json; charset=utf-8'
  const body = Buffer.from(JSON.stringify({ title, description, code }))
  end(response, status, ['content-type', type], body)
}

/** Names and values alternate, which Node writes as they are. */
function end(
  response: ServerResponse,
  status: number,
  headers: readonly string[],
  body: Buffer,
): void {
  response.writeHead(status, [...headers, 'content-length', String(body.length)])
  response.end(body)
}
