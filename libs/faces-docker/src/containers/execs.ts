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

/** The execs of one master's clients: who created one starts it at the same socket. */
export class Execs {
  readonly #execs = new Map<string, Exec>()
  readonly #newId: () => string

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
    this.#execs.set(exec.id, exec)
    this.#forgetOldest()
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

  #forgetOldest(): void {
    if (this.#execs.size <= keptMax) return
    for (const [id, { state }] of this.#execs) {
      if (state === 'running') continue
      this.#execs.delete(id)
      return
    }
  }
}

/** What the Engine says when the program of an exec cannot be started. Source: docker-swarm.md A7. */
export const startError = (why: string): string =>
  /^(exec: |chdir to cwd)/.test(why)
    ? `OCI runtime exec failed: exec failed: unable to start container process: ${why}: unknown`
    : why
