import type { AgentApi } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { asciiJson, toJson, toProtobuf, type Message } from '@conclave/model'
import type { AgentFaceOptions } from './face.ts'
import { opened } from './json.ts'

export const jsonName = 'application/json'
export const protobufName = 'application/x-protobuf'
export const recordioName = 'application/recordio'

/** A form in which messages come and go. Source: mesos.md §4. */
export type MediaName = typeof jsonName | typeof protobufName

/** A message in one of these forms. `type` is its name in protobuf, such as `agent.Response`. */
export type Write = <T>(media: MediaName, kind: Message<T>, type: string, value: T) => Uint8Array

/** With inline values where this agent leaks them. */
export const writer =
  (api: AgentApi, options: AgentFaceOptions): Write =>
  (media, kind, type, value) => {
    const { message, writing } = opened(api, options, kind, value)
    return media === protobufName
      ? toProtobuf(kind, type, message, writing)
      : utf8(asciiJson(toJson(kind, message, writing)))
  }
