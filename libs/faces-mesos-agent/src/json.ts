import type { AgentApi } from '@conclave/actors'
import { openSecrets, toJson, type JsonObject, type Message, type Writing } from '@conclave/model'
import type { AgentFaceOptions } from './face.ts'

/**
 * A message as this agent shows it: a secret has its type and its reference. With `faithfulLeaks` its
 * inline value, too, where this agent has had it resolved: as Mesos shows it (mesos.md §21).
 */
export const opened = <T>(
  api: AgentApi,
  { faithfulLeaks }: AgentFaceOptions,
  kind: Message<T>,
  value: T,
): { readonly message: T; readonly writing: Writing } =>
  faithfulLeaks
    ? {
        message: openSecrets(kind, value, (sealed) => api.leakedValue(sealed.id)),
        writing: { withHidden: true },
      }
    : { message: value, writing: { withHidden: false } }

/** The same as JSON. */
export const shown =
  (api: AgentApi, options: AgentFaceOptions) =>
  <T>(kind: Message<T>, value: T): JsonObject => {
    const { message, writing } = opened(api, options, kind, value)
    return toJson(kind, message, writing)
  }
