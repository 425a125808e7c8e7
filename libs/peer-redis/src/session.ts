import { hkdfSync } from 'node:crypto'

import {
  AeadKey,
  keySizeBytes,
  nonceSizeBytes,
  tagSizeBytes,
  type BoxKeyPair,
} from '@conclave/crypto'
import { ByteWriter, sameBytes, utf8 } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'

import { lifeOf, type Announced } from './announcement.ts'

/*
 * What two members share for as long as both processes live (docs/formats/links.md): one key for each
 * direction, from the Diffie-Hellman agreement of keys that each has drawn for this life. So
 *
 *   - a nonce is a count that only goes up, under a key that no earlier or later process ever has;
 *   - a message that is repeated is known by its count, and one of an earlier life does not open;
 *   - who takes a certificate's key later cannot open what was sent before.
 */

const salt = utf8('conclave/peer-redis/session/v1')
const lifeBytes = 8
const countBytes = 8
/** Who sealed it (its life), whom for (its life), and the count. */
export const headerBytes = 2 * lifeBytes + countBytes

/** This member, in this life. */
export interface Self {
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly keyPair: BoxKeyPair
}

/** A sealed message, taken apart but not opened. */
export interface Sealed {
  readonly fromLife: Uint8Array
  readonly toLife: Uint8Array
  readonly count: number
  readonly header: Uint8Array
  readonly body: Uint8Array
}

/** Undefined for what cannot be a sealed message. */
export function readSealed(bytes: Uint8Array): Sealed | undefined {
  if (bytes.length < headerBytes + tagSizeBytes) return undefined
  const header = bytes.subarray(0, headerBytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
  const count = Number(view.getBigUint64(2 * lifeBytes))
  if (!Number.isSafeInteger(count)) return undefined
  return {
    fromLife: header.subarray(0, lifeBytes),
    toLife: header.subarray(lifeBytes, 2 * lifeBytes),
    count,
    header,
    body: bytes.subarray(headerBytes),
  }
}

export class Session {
  readonly life: Uint8Array
  readonly #ownLife: Uint8Array
  readonly #sealing: AeadKey
  readonly #opening: AeadKey
  readonly #sealingPlace: Uint8Array
  readonly #openingPlace: Uint8Array
  #sealed = 0
  #opened = 0

  /** @throws CryptographicFailure when the peer's key is of low order */
  constructor(self: Self, peer: Announced) {
    this.life = lifeOf(peer.publicKey)
    this.#ownLife = lifeOf(self.keyPair.publicKey)
    const { sealing, opening } = deriveKeys(self, peer)
    this.#sealing = sealing
    this.#opening = opening
    this.#sealingPlace = placeOf(self.clusterId, self.nodeId, peer.nodeId)
    this.#openingPlace = placeOf(self.clusterId, peer.nodeId, self.nodeId)
  }

  /** Header, ciphertext and tag, behind `prefix` bytes that are left to the caller. */
  seal(plaintext: Uint8Array, prefix: number): Buffer {
    const sealed = Buffer.allocUnsafe(prefix + headerBytes + plaintext.length + tagSizeBytes)
    const header = sealed.subarray(prefix, prefix + headerBytes)
    header.set(this.#ownLife, 0)
    header.set(this.life, lifeBytes)
    header.writeBigUInt64BE(BigInt(++this.#sealed), 2 * lifeBytes)
    this.#sealing.sealInto(
      sealed.subarray(prefix + headerBytes),
      nonceOf(header),
      aad(header, this.#sealingPlace),
      plaintext,
    )
    return sealed
  }

  /**
   * Undefined when it was heard before, or is older than what was heard: a message that was overtaken
   * counts as lost.
   *
   * @throws CryptographicFailure when it is not of the peer's life to this one
   */
  open({ count, header, body }: Sealed): Uint8Array | undefined {
    const plaintext = this.#opening.open(nonceOf(header), aad(header, this.#openingPlace), body)
    if (count <= this.#opened) return undefined
    this.#opened = count
    return plaintext
  }

  isOf(life: Uint8Array): boolean {
    return sameBytes(life, this.life)
  }
}

/**
 * All sessions of this life. With the same life of a peer it is always the same one, also after the peer was forgotten
 * and met again: it would count from the beginning under the same keys otherwise, and take for new what was heard.
 * They are no more than members have begun lives meanwhile: nobody else can prove one.
 */
export class Sessions {
  readonly #self: Self
  readonly #known = new Map<string, Session>()

  constructor(self: Self) {
    this.#self = self
  }

  /** @throws CryptographicFailure when the peer's key is of low order */
  with(peer: Announced): Session {
    const name = `${peer.nodeId} ${Buffer.from(peer.publicKey).toString('base64')}`
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const session = new Session(this.#self, peer)
    this.#known.set(name, session)
    return session
  }
}

/** Bound to cluster, both members and both keys, so that no agreement can be passed off as another. */
function deriveKeys(self: Self, peer: Announced): { sealing: AeadKey; opening: AeadKey } {
  const own = { nodeId: self.nodeId, publicKey: self.keyPair.publicKey }
  const isFirst = own.nodeId < peer.nodeId
  const info = new ByteWriter().text(self.clusterId)
  for (const { nodeId, publicKey } of isFirst ? [own, peer] : [peer, own]) {
    info.uint(nodeId).bytes(publicKey)
  }
  const shared = self.keyPair.agree(peer.publicKey)
  const both = new Uint8Array(hkdfSync('sha256', shared, salt, info.take(), 2 * keySizeBytes))
  shared.fill(0)
  const upwards = AeadKey.of(both.subarray(0, keySizeBytes))
  const downwards = AeadKey.of(both.subarray(keySizeBytes))
  both.fill(0)
  return isFirst
    ? { sealing: upwards, opening: downwards }
    : { sealing: downwards, opening: upwards }
}

const placeOf = (clusterId: string, from: NodeId, to: NodeId): Uint8Array =>
  new ByteWriter().text(clusterId).uint(from).uint(to).take()

function nonceOf(header: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(nonceSizeBytes)
  nonce.set(header.subarray(2 * lifeBytes), nonceSizeBytes - countBytes)
  return nonce
}

function aad(header: Uint8Array, place: Uint8Array): Uint8Array {
  const both = new Uint8Array(header.length + place.length)
  both.set(header, 0)
  both.set(place, header.length)
  return both
}
