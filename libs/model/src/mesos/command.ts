import {
  boolean,
  enumeration,
  message,
  optional,
  repeated,
  required,
  text,
  type Infer,
} from './message.ts'
import { Secret } from './secret.ts'

export const EnvironmentVariable = message('Environment.Variable', {
  name: required(text),
  type: optional(enumeration('UNKNOWN', 'VALUE', 'SECRET'), 'VALUE'),
  value: optional(text),
  secret: optional(Secret),
})
export type EnvironmentVariable = Infer<typeof EnvironmentVariable>

export const Environment = message('Environment', { variables: repeated(EnvironmentVariable) })
export type Environment = Infer<typeof Environment>

/**
 * What opens a URI that is not for everybody: ours, since Mesos has nothing for it. Clients that do not
 * know the field leave it out, and servers of Mesos pass over it.
 */
export const UriSecrets = message('CommandInfo.URI.Secrets', {
  /** The whole value of an `Authorization` header. */
  authorization: optional(Secret),
  /** PEM: a certificate, what leads to its root, and its private key. */
  client_certificate: optional(Secret),
  /** PEM: the authorities that are trusted instead of the agent's. */
  authority: optional(Secret),
})

export const Uri = message('CommandInfo.URI', {
  value: required(text),
  executable: optional(boolean),
  extract: optional(boolean, true),
  cache: optional(boolean),
  output_file: optional(text),
  secrets: optional(UriSecrets),
})
export type Uri = Infer<typeof Uri>

export const CommandInfo = message('CommandInfo', {
  uris: repeated(Uri),
  environment: optional(Environment),
  shell: optional(boolean, true),
  value: optional(text),
  arguments: repeated(text),
  user: optional(text),
  /**
   * Ours: whether `arguments` without a `value` are put in the place of an image's command, as Docker does.
   * Mesos adds them to it where the image has no entrypoint.
   */
  docker_arguments: optional(boolean),
})
export type CommandInfo = Infer<typeof CommandInfo>
