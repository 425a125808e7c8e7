import { EnvironmentVariable, Uri } from './command.ts'
import { mapParts, type Message } from './message.ts'
import { ExecutorInfo } from './task-info.ts'

/** What stands where something was that is not shown. */
const redactedText = '[redacted]'

const userInfo = /^([a-z][a-z\d+.-]*:\/\/)[^/?#]*@/i

/**
 * `value` as a state endpoint may show it: no values of variables, no bytes that only an executor
 * understands, no passwords in URIs. Upstream shows all of these to whoever may look (mesos.md §21).
 * Values of secrets are not written by `toJson` in the first place.
 */
export function redactShown<T>(kind: Message<T>, value: T): T {
  const variables = mapParts(kind, value, EnvironmentVariable, (variable) =>
    variable.value === undefined ? variable : { ...variable, value: redactedText },
  )
  const uris = mapParts(kind, variables, Uri, (uri) => {
    const shown = uri.value.replace(userInfo, `$1${redactedText}@`)
    return shown === uri.value ? uri : { ...uri, value: shown }
  })
  return mapParts(kind, uris, ExecutorInfo, ({ data, ...executor }) =>
    data === undefined ? executor : executor,
  )
}
