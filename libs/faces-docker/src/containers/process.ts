import type { Container } from './container.ts'

/** What is run in a container, as far as it is known here: what its service says. */
export function processOf({ spec }: Container): readonly string[] {
  return [...(spec.Command ?? []), ...(spec.Args ?? [])]
}

/** As `docker ps` shows it: arguments with a blank in quotes. Source: moby, `daemon/container/view.go`. */
export const commandText = (argv: readonly string[]): string =>
  argv.map((word, at) => (at > 0 && word.includes(' ') ? `'${word}'` : word)).join(' ')

/** The directory of the program, and of those that are run beside it: Docker's default is the root. */
export const workdirOf = ({ spec }: Container): string => spec.Dir || '/'
