import { agentSettings as known, readAgentSettings } from '@conclave/assembly'
import { ConclaveError, Redacted, utf8Text } from '@conclave/kernel'
import { CommandFailed } from './failure.ts'

/**
 * Reads settings of an agent from a command line, each `name=value`. Names may be written as Mesos
 * writes them: `secret_resolver` is `secretResolver`.
 *
 * @returns the value of each, as a file of settings would hold it
 * @throws CommandFailed that says which one is wrong
 */
export async function agentSettings(
  given: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const texts = Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=')
      const name = text
        .slice(0, Math.max(at, 0))
        .replace(/[_-]([a-z])/g, (_, letter: string) => letter.toUpperCase())
      if (Object.hasOwn(known, name)) return [name, text.slice(at + 1)]
      const names = Object.keys(known).join(', ')
      throw new CommandFailed(
        'usage',
        `a setting of an agent is name=value, with a name of ${names}`,
      )
    }),
  )
  try {
    const config: Readonly<Record<string, unknown>> = await readAgentSettings(texts)
    return Object.fromEntries(Object.keys(texts).map((name) => [name, plain(config[name])]))
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    throw new CommandFailed('usage', error.message)
  }
}

/** A file of settings is for its owner alone, as what is secret in it must be. */
const plain = (value: unknown): unknown =>
  value instanceof Redacted && value.reveal() instanceof Uint8Array
    ? utf8Text(value.reveal() as Uint8Array)
    : value
