import { ConclaveError } from '@conclave/kernel'

import type { Address } from '@conclave/actors'

import type { TlsIdentity } from './authority/identity.ts'
import { FrameReader, FrameWriter } from './framing.ts'
import { dial, LinkRefused } from './link-tls.ts'
import { decodePeerFrame, encodePeerFrame, frameBytesMax } from './peer-protocol.ts'

/** Of a question or an answer: they are short. */
export const askBytesMax = 64 * 1024

export interface PeerAskOptions {
  readonly clusterId: string
  readonly identity: TlsIdentity
  readonly at: Address
  /** Whose certificate must answer. */
  readonly masterId: string
  readonly question: Uint8Array
  /** Default 5 s. */
  readonly timeoutMs?: number
}

/**
 * Puts one question to a master, at its peer port and over a connection of its own: also to one that is
 * no peer yet, or no more (docs/formats/links.md).
 *
 * @throws LinkRefused, or what the socket failed with: nobody answered, or not who should
 */
export async function askPeer(options: PeerAskOptions): Promise<Uint8Array> {
  const { clusterId, identity, at, masterId, question, timeoutMs = 5000 } = options
  const socket = dial(at, identity, { role: 'conclave-master', clusterId, id: masterId })
  const reader = new FrameReader(frameBytesMax)
  const writer = new FrameWriter(socket)
  const patience = setTimeout(
    () => socket.destroy(new LinkRefused(`${masterId} did not answer in time`)),
    timeoutMs,
  )
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      socket.on('secureConnect', () => {
        writer.write(...encodePeerFrame({ kind: 'ask', bytes: question }))
        writer.flush()
      })
      socket.on('data', (chunk: Buffer) => {
        try {
          for (const bytes of reader.push(chunk)) {
            const frame = decodePeerFrame(bytes)
            if (frame.kind !== 'answer') throw new LinkRefused(`it answers with ${frame.kind}`)
            resolve(Uint8Array.from(frame.bytes))
          }
        } catch (error) {
          if (!(error instanceof ConclaveError)) throw error
          reject(error)
        }
      })
      socket.on('error', reject)
      socket.on('close', () => reject(new LinkRefused(`${masterId} hung up without an answer`)))
    })
  } finally {
    clearTimeout(patience)
    socket.destroy()
  }
}
