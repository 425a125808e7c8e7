import type { TaskSession } from '@conclave/actors'
import type { TerminalSize } from '@conclave/model'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'
import type { Container } from './container.ts'

/** What a client wants to be run, as it said. */
export interface ExecConfig {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly user: string
  readonly workdir: string
  readonly isTty: boolean
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly isPrivileged: boolean
  readonly detachKeys: string
}

/** One program that shall be run, runs or was run in a container, until newer ones take its place. */
export interface Exec {
  readonly id: string
  readonly container: Container
  readonly config: ExecConfig
  /** Who made it. */
  readonly by: string
  state: 'created' | 'running' | 'ended'
  exitCode: number | undefined
  size: TerminalSize
  session: TaskSession | undefined
}

/** Of programs that have ended, or were never started: clients ask for an exit code at once. */
const keptMax = 1024

/** Characters of all that they were told to run with, since one command may be as long as a body. */
const keptLengthMax = 8 * 1024 * 1024

/** The execs of one master's clients: who created one starts it at the same socket. */
export class Execs {
  readonly #execs = new Map<string, Exec>()
  readonly #newId: () => string
  #keptLength = 0

  constructor(newId: () => string) {
    this.#newId = newId
  }

  create(container: Container, config: ExecConfig, size: TerminalSize, by: string): Exec {
    const exec: Exec = {
      id: this.#newId(),
      container,
      config,
      by,
      state: 'created',
      exitCode: undefined,
      size,
      session: undefined,
    }
    this.#forgetOldest(lengthOf(config))
    this.#execs.set(exec.id, exec)
    this.#keptLength += lengthOf(config)
    return exec
  }

  /** @throws Refusal */
  get(id: string): Exec {
    const exec = this.#execs.get(id)
    if (exec === undefined) throw new Refusal(404, `No such exec instance: ${printable(id)}`)
    return exec
  }

  /** Of programs that run in a container. */
  runningIn(containerId: string): readonly string[] {
    return [...this.#execs.values()]
      .filter(({ container, state }) => container.id === containerId && state === 'running')
      .map(({ id }) => id)
  }

  /** Makes room for one that is `length` long. */
  #forgetOldest(length: number): void {
    for (const [id, { state, config }] of this.#execs) {
      const hasRoom = this.#execs.size < keptMax && this.#keptLength + length <= keptLengthMax
      if (hasRoom) return
      if (state === 'running') continue
      this.#execs.delete(id)
      this.#keptLength -= lengthOf(config)
    }
  }
}

const lengthOf = ({ argv, env }: ExecConfig): number =>
  [...argv, ...Object.entries(env).flat()].reduce((sum, part) => sum + part.length, 0)

/** What the Engine says when the program of an exec cannot be started. Source: docker-swarm.md A7. */
export const startError = (why: string): string =>
  /^(exec: |chdir to cwd)/.test(why)
    ? `OCI runtime exec failed: exec failed: unable to start container process: ${why}: unknown`
    : why
