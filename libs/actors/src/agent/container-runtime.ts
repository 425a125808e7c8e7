import type { CommandInfo } from '@conclave/model'
import type { Host, Owner } from '@conclave/isolators'
import { ConclaveError } from '@conclave/kernel'

/** A container cannot be made, started or entered. Names what was wrong, never what was in it. */
export class ContainerRefused extends ConclaveError {
  readonly code = 'container.refused'
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
}

/** `exitCode` is 128 plus the number of `signal`, such as `KILL`, when it died of one. */
export interface ContainerExit {
  readonly exitCode: number
  readonly signal?: string
}

/** Who runs the program, and owns the sandbox and the secret files. */
export interface ContainerUser extends Owner {
  readonly name: string
}

export interface ContainerSpec {
  readonly containerId: string
  readonly hostname: string
  /** The program and its arguments. */
  readonly argv: readonly string[]
  /** What `argv` was made from, for an image that has its own say in it. */
  readonly command?: CommandInfo
  readonly user: ContainerUser
  /** A program of a framework's that will call at the agent's listener. */
  readonly isExecutor?: boolean
}

/** The port: what an agent needs of a machine that runs containers. Source: reference/isolators.md §1. */
export interface ContainerRuntime {
  /** `memory` or `linux`. */
  readonly name: string
  /** Removes what an earlier life of this agent may have left on the machine. */
  recover(): Promise<void>
  /** Makes a container in which nothing runs yet. @throws ContainerRefused */
  create(spec: ContainerSpec): Promise<Container>
  /** Ends and overwrites everything at once, without a word to anybody. */
  destroyAll(): void
}

export interface Container {
  /** For the plan, before the start. */
  readonly host: Host
  /** Starts the program, with the environment that the plan set. `onExit` is called once, later. */
  start(onExit: (exit: ContainerExit) => void): Promise<void>
  /** Runs one more program beside it, with its environment and `env`. @throws ContainerRefused */
  exec(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Exec>
  /** Harmless when it has ended. Unknown names are ignored. */
  signal(name: string): void
  /** Ends every process, and leaves nothing but the output. */
  destroy(): Promise<void>
  /** The newest output, then what follows until the end or until `signal` aborts; also after the end. */
  output(follow: boolean, signal: AbortSignal): AsyncIterable<OutputChunk>
  /** Overwrites the output, too. */
  forgetOutput(): void
}

/** A program that was started beside the container's own. */
export interface Exec {
  /** Ends when the program has ended and everything it said was read. */
  output(signal: AbortSignal): AsyncIterable<OutputChunk>
  /** Resolves with its end, which the container's end also is. */
  readonly exit: Promise<ContainerExit>
  write(bytes: Uint8Array): void
  endInput(): void
  signal(name: string): void
}
