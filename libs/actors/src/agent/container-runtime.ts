import type { ArchiveWanted, CommandInfo, TerminalSize } from '@conclave/model'
import type { Host, Owner } from '@conclave/isolators'
import { ConclaveError, type Redacted } from '@conclave/kernel'

/** A container cannot be made, started or entered. Names what was wrong, never what was in it. */
export class ContainerRefused extends ConclaveError {
  readonly code = 'container.refused'
}

/** The program of an exec cannot be started. Says why in the words of runc. */
export class ProgramRefused extends ConclaveError {
  readonly code = 'container.program-refused'
  /** What shells answer: 127 when there is nothing of that name, 126 when it is there. */
  readonly exitCode: 126 | 127

  constructor(exitCode: 126 | 127, why: string) {
    super(why)
    this.exitCode = exitCode
  }
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
  /** When it was written, where somebody noted it. */
  readonly atMs?: number
}

/** Which part of the output is read. */
export interface OutputWanted {
  /** What comes after the end of what is there, too. */
  readonly follow: boolean
  /** So many of the last lines that are there. Default: all. */
  readonly tail?: number | undefined
  /** Nothing that was written before. */
  readonly sinceMs?: number | undefined
}

/** How a program is run beside the container's own. */
export interface ExecHow {
  /** `name`, `uid`, `name:group` or `uid:gid`, as the container knows them. Default: the container's own. */
  readonly user?: string | undefined
  /** An absolute path. Default: the container's own. */
  readonly workdir?: string | undefined
  readonly terminal?: TerminalSize | undefined
  /** @throws ProgramRefused, rather than output of a shell, when it cannot be started */
  readonly mustStart?: boolean | undefined
  /**
   * Files in or out, in the place of a program: standard output is a line of JSON about the path, then the
   * archive; standard input is the one to lay down.
   */
  readonly archive?: ArchiveWanted | undefined
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

/** A process that is shown and does nothing. */
export interface HelperProcess {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Else it is the container's own user's. */
  readonly isRoot: boolean
}

export interface ContainerSpec {
  readonly containerId: string
  readonly hostname: string
  /** The program and its arguments. */
  readonly argv: readonly string[]
  /** What `argv` was made from, for an image that has its own say in it. */
  readonly command?: CommandInfo
  readonly user: ContainerUser
  /** Absolute, in the place of the image's own. */
  readonly workdir?: string
  /** A program of a framework's that will call at the agent's listener. */
  readonly isExecutor?: boolean
  /** Its input and output are one terminal. */
  readonly terminal?: TerminalSize
  /** What a simulated machine shows beside the program, to teach what Mesos' helpers give away (ADR 38). */
  readonly helpers?: Redacted<readonly HelperProcess[]>
  /** Its program reads what is written to {@link Container.input}, rather than nothing. */
  readonly hasInput?: boolean
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
  /** Runs one more program beside it, with its environment and `env`. @throws ContainerRefused, ProgramRefused */
  exec(argv: readonly string[], env: Readonly<Record<string, string>>, how?: ExecHow): Promise<Exec>
  /** Of its own program, once that was started: there if it has any, see {@link ContainerSpec.hasInput}. */
  readonly input: ProgramInput | undefined
  /** The terminal of its own program, if it has one. */
  resize(size: TerminalSize): void
  /** Harmless when it has ended. Unknown names are ignored. */
  signal(name: string): void
  /** Signals as its image wants to be asked to end: SIGTERM where nothing is said. */
  askToEnd(): void
  /** What it has used since it was made; undefined where nobody measures. */
  usage(): ContainerUsage | undefined
  /** Ends every process, and leaves nothing but the output. */
  destroy(): Promise<void>
  /** The newest output, then what follows until the end or until `signal` aborts; also after the end. */
  output(wanted: OutputWanted, signal: AbortSignal): AsyncIterable<OutputChunk>
  /** Overwrites the output, too. */
  forgetOutput(): void
}

/** What a container has used, as far as its runtime can tell. */
export interface ContainerUsage {
  /** For which its programs have had the processor. */
  readonly cpuMs: number
  /** What is in its files, its secret files among them. */
  readonly memoryBytes: number
  readonly memoryBytesMax: number
  /** What is in its files over those of its image, and in no tmpfs. */
  readonly layerBytes?: number | undefined
  readonly processes: number
  readonly processesMax: number
  /** By its programs, from and to its files. */
  readonly readBytes: number
  readonly writtenBytes: number
}

/** What a program reads. */
export interface ProgramInput {
  write(bytes: Uint8Array): void
  /** Resolves when the program has read most of what was written, or reads no more. */
  taken(): Promise<void>
}

/** A program that was started beside the container's own. */
export interface Exec extends ProgramInput {
  /** Ends when the program has ended and everything it said was read. It waits for a slow reader. */
  output(signal: AbortSignal): AsyncIterable<OutputChunk>
  /** Resolves with its end, which the container's end also is. */
  readonly exit: Promise<ContainerExit>
  endInput(): void
  /** Of its terminal, if it has one. */
  resize(size: TerminalSize): void
  signal(name: string): void
}
