import type { AgentApi } from '@conclave/actors'
import { openSecrets, toJson, type JsonObject, type Message } from '@conclave/model'
import type { AgentFaceOptions } from './face.ts'

/**
 * A message as this agent shows it: a secret has its type and its reference. With `faithfulLeaks` its
 * inline value, too, where this agent has had it resolved: as Mesos shows it (mesos.md §21).
 */
export const shown =
  (api: AgentApi, { faithfulLeaks }: AgentFaceOptions) =>
  <T>(kind: Message<T>, value: T): JsonObject =>
    faithfulLeaks
      ? toJson(
          kind,
          openSecrets(kind, value, (sealed) => api.leakedValue(sealed.id)),
          {
            withHidden: true,
          },
        )
      : toJson(kind, value)
