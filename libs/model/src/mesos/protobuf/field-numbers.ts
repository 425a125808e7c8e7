import { commonFields } from './common-fields.ts'
import { agentFields } from './agent-fields.ts'
import { containerizerFields } from './containerizer-fields.ts'
import { executorFields } from './executor-fields.ts'
import { operatorFields } from './operator-fields.ts'
import { schedulerFields } from './scheduler-fields.ts'

/**
 * Numbers of fields by message and name; with the name of its message or enum where a field is one. It is
 * our subset of the .proto files of Mesos 1.11: which fields there are, and whether each is required, is
 * in the tables of `message.ts`.
 */
export type FieldNumbers = Readonly<
  Record<string, Readonly<Record<string, number | readonly [number, string]>>>
>

const all: FieldNumbers = {
  ...commonFields,
  ...schedulerFields,
  ...executorFields,
  ...operatorFields,
  ...containerizerFields,
  ...agentFields,
}

/** The number of a field, and the name of its type when it has one. Undefined: protobuf has no such field. */
export function fieldNumber(
  message: string,
  field: string,
): { readonly number: number; readonly type: string } | undefined {
  const found = all[message]?.[field]
  if (found === undefined) return undefined
  return typeof found === 'number'
    ? { number: found, type: '' }
    : { number: found[0], type: found[1] }
}
