import {
  simulatedImage,
  type SimulatedImage,
  type SimulatedImagesMode,
} from '@conclave/simulated-images'
import type { Container } from './container.ts'

/** The image that a container has, where it is a simulated one: of others a master knows nothing. */
export const imageOf = (
  { spec }: Container,
  mode: SimulatedImagesMode,
): SimulatedImage | undefined => simulatedImage(spec.Image ?? '', mode)

/**
 * What is run in a container: what its service says, and what the image says where that does not. A command is in
 * the place of the image's entry point; arguments alone are in the place of its command.
 */
export function processOf(
  { spec }: Container,
  image: SimulatedImage | undefined,
): readonly string[] {
  const { Entrypoint, Cmd } = image?.configuration ?? {}
  const command = spec.Command ?? []
  const args = spec.Args ?? []
  if (command.length > 0) return [...command, ...args]
  return [...(Entrypoint ?? []), ...(args.length > 0 ? args : (Cmd ?? []))]
}

/** As `docker ps` shows it: arguments with a blank in quotes. Source: moby, `daemon/container/view.go`. */
export const commandText = (argv: readonly string[]): string =>
  argv.map((word, at) => (at > 0 && word.includes(' ') ? `'${word}'` : word)).join(' ')

/** The directory of the program, and of those that are run beside it: Docker's default is the root. */
export const workdirOf = (container: Container, mode: SimulatedImagesMode): string =>
  container.spec.Dir || imageOf(container, mode)?.configuration.WorkingDir || '/'
