import type { IncomingHttpHeaders } from 'node:http'
import type { PlainAnswer } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { asciiJson, toJson, toProtobuf, type Message, type Writing } from '@conclave/model'
import { plain } from './answers.ts'

/** A form in which messages come and go. Source: mesos.md §4. */
export interface MediaType {
  readonly name: 'application/json' | 'application/x-protobuf'
  /** `type` is the message's name in protobuf, such as `master.Response`. */
  write<T>(kind: Message<T>, type: string, message: T, writing?: Writing): Uint8Array
}

export const json: MediaType = {
  name: 'application/json',
  write: (kind, _type, message, writing) => utf8(asciiJson(toJson(kind, message, writing))),
}

export const protobuf: MediaType = {
  name: 'application/x-protobuf',
  write: toProtobuf,
}

/** What a request wants to be answered in, JSON first; or the refusal when that is nothing we have. */
export function acceptedMedia({ accept }: IncomingHttpHeaders): MediaType | PlainAnswer {
  if (accept === undefined) return json
  const ranges = accept.split(',').map((range) => range.split(';')[0]?.trim())
  const isAccepted = (name: string): boolean =>
    ranges.some((range) => range === '*/*' || range === 'application/*' || range === name)
  if (isAccepted(json.name)) return json
  if (isAccepted(protobuf.name)) return protobuf
  return plain(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")
}

export const isMedia = (found: MediaType | PlainAnswer): found is MediaType => 'write' in found
