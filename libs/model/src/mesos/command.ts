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

export const Uri = message('CommandInfo.URI', {
  value: required(text),
  executable: optional(boolean),
  extract: optional(boolean, true),
  cache: optional(boolean),
  output_file: optional(text),
})

export const CommandInfo = message('CommandInfo', {
  uris: repeated(Uri),
  environment: optional(Environment),
  shell: optional(boolean, true),
  value: optional(text),
  arguments: repeated(text),
  user: optional(text),
})
export type CommandInfo = Infer<typeof CommandInfo>
