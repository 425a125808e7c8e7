import { uuid, type Random } from '@conclave/kernel'
import type { AgentEffect, AgentInput } from '../agent-effect.ts'
import type { OutputChunk } from '../container-runtime.ts'
import { shortened } from '../wording.ts'

/** Where the output of a session goes: a client of the agent's own listener. */
export interface SessionSink {
  /** Bytes that the client has not taken yet: above some megabytes its container has to wait. */
  readonly waitingBytes: number
  output(chunk: OutputChunk): void
  /** Called once. `exitCode` is of a program that was run for the session. */
  ended(end: { readonly exitCode?: number; readonly error?: string }): void
}

/** A session into a container, for whoever opened it. */
export interface LocalSession {
  readonly sessionId: string
  write(bytes: Uint8Array): void
  endInput(): void
  signal(name: string): void
  close(): void
}

export interface LocalSessionsOptions {
  readonly random: Random
  readonly do: (effect: AgentEffect) => void
}

/** Sessions of this agent's own clients. They need no master, and end with their client. */
export class LocalSessions {
  readonly #options: LocalSessionsOptions
  readonly #sinks = new Map<string, SessionSink>()

  constructor(options: LocalSessionsOptions) {
    this.#options = options
  }

  exec(
    containerId: string,
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
    sink: SessionSink,
  ): LocalSession {
    const session = this.#add(sink)
    const { sessionId } = session
    this.#options.do({ do: 'open-exec', sessionId, containerId, argv, env, how: {} })
    return session
  }

  logs(containerId: string, sink: SessionSink, follow: boolean): LocalSession {
    const session = this.#add(sink)
    const { sessionId } = session
    this.#options.do({ do: 'open-logs', sessionId, containerId, wanted: { follow } })
    return session
  }

  /** Undefined for a session that is none of these. */
  waitingBytes(sessionId: string): number | undefined {
    return this.#sinks.get(sessionId)?.waitingBytes
  }

  /** @returns whether it was one of these */
  output({ sessionId, chunk }: Extract<AgentInput, { kind: 'session-output' }>): boolean {
    const sink = this.#sinks.get(sessionId)
    sink?.output(chunk)
    return sink !== undefined
  }

  ended({ sessionId, exitCode, error }: Extract<AgentInput, { kind: 'session-ended' }>): boolean {
    const sink = this.#sinks.get(sessionId)
    if (sink === undefined) return false
    this.#sinks.delete(sessionId)
    sink.ended({
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(error === undefined ? {} : { error: shortened(error) }),
    })
    return true
  }

  #add(sink: SessionSink): LocalSession {
    const sessionId = uuid(this.#options.random)
    this.#sinks.set(sessionId, sink)
    const act = (effect: AgentEffect): void => {
      if (this.#sinks.has(sessionId)) this.#options.do(effect)
    }
    return {
      sessionId,
      write: (bytes) => act({ do: 'write-session', sessionId, bytes }),
      endInput: () => act({ do: 'end-session-input', sessionId }),
      signal: (signal) => act({ do: 'signal-session', sessionId, signal }),
      close: () => {
        act({ do: 'close-session', sessionId })
        this.#sinks.delete(sessionId)
      },
    }
  }
}
