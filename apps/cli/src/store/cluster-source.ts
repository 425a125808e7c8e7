import type { StateLine } from '@conclave/actors'
import { stateBoxContext } from '@conclave/actors'
import { AeadKey, createBoxKeyPair, Kek, openBox, unwrapKeyring } from '@conclave/crypto'
import { wipe, type Random } from '@conclave/kernel'
import { linesOf, type HttpStream } from '@conclave/runtime'
import { StateDigest, type StateRecord } from '@conclave/store'
import type { StateSource } from '@conclave/transfer'
import type { Client } from '../client.ts'
import { CommandFailed } from '../failure.ts'

/** A record of 16 MiB in base64, and its numbers. */
const lineBytesMax = 32 * 1024 * 1024

/** Does something with the state of the running cluster, which is read while it is done. */
export async function withCluster<T>(
  client: Client,
  random: Random,
  at: number | undefined,
  use: (source: StateSource) => Promise<T>,
): Promise<T> {
  const pair = createBoxKeyPair(random)
  const publicKey = Buffer.from(pair.publicKey).toString('base64')
  const stream = await client.stream({
    face: 'conclave',
    method: 'POST',
    path: '/conclave/v1/state/export',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ publicKey, ...(at !== undefined && { at }) })),
  })
  try {
    const lines = parsed(stream)
    const head = (await lines.next()).value
    if (head?.kind !== 'head') throw brokenOff()
    const { clusterId, revision, takenAtMs } = head
    const bytes = openBox(pair, decoded(head.transportKey), stateBoxContext(clusterId))
    const kek = Kek.of(AeadKey.of(bytes.reveal()))
    wipe(bytes)
    return await use({
      manifest: { clusterId, revision, takenAtMs },
      keyring: unwrapKeyring({ kek, clusterId, wrapped: decoded(head.keyring) }),
      records: () => recordsIn(lines),
    })
  } finally {
    stream.close()
  }
}

async function* recordsIn(lines: AsyncIterable<StateLine>): AsyncGenerator<StateRecord> {
  const digest = new StateDigest()
  for await (const line of lines) {
    if (line.kind === 'record') {
      const { kind: _kind, value, ...numbers } = line
      const record = { ...numbers, value: decoded(value) }
      digest.add(record)
      yield record
    } else if (line.kind === 'end') {
      if (line.recordCount !== digest.count || line.digest !== digest.end()) throw brokenOff()
      return
    }
  }
  throw brokenOff()
}

async function* parsed(stream: HttpStream): AsyncGenerator<StateLine> {
  try {
    for await (const line of linesOf(stream.body, lineBytesMax)) yield JSON.parse(line) as StateLine
  } catch (cause) {
    throw brokenOff(cause)
  }
}

const brokenOff = (cause?: unknown): CommandFailed =>
  new CommandFailed(
    'unavailable',
    'the master broke off before all of the state had come; try again',
    {
      cause,
    },
  )

const decoded = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'))
