import type { Plan, Replacement } from '@conclave/isolators'
import type { RedactedBytes } from '@conclave/kernel'
import type { FromAgent, TerminalSize, ToAgent } from '@conclave/model'
import type { OutsideQuestion, Resolved } from '@conclave/resolver'
import type {
  ContainerExit,
  ContainerSpec,
  ExecHow,
  OutputChunk,
  OutputWanted,
} from './container-runtime.ts'
import type { LeftPath } from './leaks/left-file.ts'

/** What an agent is told: by its master, by the machine, and by time. */
export type AgentInput =
  /** A master can be reached. It may still turn out not to lead. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'message'; readonly message: ToAgent }
  | { readonly kind: 'tick' }
  /** What a resolver module said, one for each secret of its question. The values are the agent's. */
  | {
      readonly kind: 'resolved-outside'
      readonly questionId: string
      readonly resolved: readonly Resolved[]
    }
  | { readonly kind: 'prepared'; readonly containerId: string; readonly failure?: string }
  /** The files of a rotation are in their places, or, with a failure, maybe some of them. */
  | {
      readonly kind: 'files-replaced'
      readonly containerId: string
      readonly rotation: number
      readonly failure?: string
    }
  | { readonly kind: 'started'; readonly containerId: string; readonly failure?: string }
  | { readonly kind: 'exited'; readonly containerId: string; readonly exit: ContainerExit }
  | { readonly kind: 'destroyed'; readonly containerId: string; readonly failure?: string }
  | { readonly kind: 'session-output'; readonly sessionId: string; readonly chunk: OutputChunk }
  /** The program has read so much of what was written to the session. */
  | { readonly kind: 'session-taken'; readonly sessionId: string; readonly sizeBytes: number }
  | {
      readonly kind: 'session-ended'
      readonly sessionId: string
      readonly exitCode?: number
      readonly error?: string
    }
  /** The result of a health check. */
  | { readonly kind: 'checked'; readonly containerId: string; readonly isSuccess: boolean }
  /** End every container, then say so. */
  | { readonly kind: 'stop'; readonly graceMs: number }

export type AgentEffect =
  | { readonly do: 'send'; readonly message: FromAgent }
  /** Remembers who this agent is across restarts, or forgets it. */
  | { readonly do: 'keep-agent-id'; readonly agentId: string | undefined }
  /** Asks the resolver module: `resolved-outside`. */
  | { readonly do: 'resolve-outside'; readonly question: OutsideQuestion }
  /** Nobody waits for that answer any more. */
  | { readonly do: 'abandon-outside'; readonly questionId: string }
  /** Makes a container and carries out its plan, whose bytes are wiped whatever happens: `prepared`. */
  | { readonly do: 'prepare'; readonly spec: ContainerSpec; readonly plan: Plan }
  /** Nobody waits for that container any more: what takes long, such as an image, is given up. */
  | { readonly do: 'abandon-prepare'; readonly containerId: string }
  /** Puts new contents into the files of a container that runs; the bytes are wiped: `files-replaced`. */
  | {
      readonly do: 'replace-files'
      readonly containerId: string
      readonly rotation: number
      readonly files: readonly Replacement[]
    }
  /** Leaves a file on the disk as Mesos does, with faithful leaks alone. The bytes are wiped. */
  | {
      readonly do: 'leave-file'
      readonly at: LeftPath
      readonly bytes: RedactedBytes
      readonly mode: number
    }
  /** Removes such a file, or all of a directory. */
  | { readonly do: 'remove-left'; readonly at: LeftPath }
  | { readonly do: 'start'; readonly containerId: string }
  | { readonly do: 'signal'; readonly containerId: string; readonly signal: string }
  /** As its image wants it. */
  | { readonly do: 'ask-to-end'; readonly containerId: string }
  | { readonly do: 'resize'; readonly containerId: string; readonly size: TerminalSize }
  /** Ends what runs, leaves nothing but the output: `destroyed`. */
  | { readonly do: 'destroy'; readonly containerId: string }
  | { readonly do: 'forget-output'; readonly containerId: string }
  /** Runs a command beside the container's own, and tells whether it ended with 0: `checked`. */
  | {
      readonly do: 'check'
      readonly containerId: string
      readonly argv: readonly string[]
      readonly env: Readonly<Record<string, string>>
    }
  /** Ends the check that is under way. */
  | { readonly do: 'abandon-check'; readonly containerId: string }
  | {
      readonly do: 'open-logs'
      readonly sessionId: string
      readonly containerId: string
      readonly wanted: OutputWanted
      /** What is written to the session is for the container's own program. */
      readonly isAttached?: boolean
    }
  | {
      readonly do: 'open-exec'
      readonly sessionId: string
      readonly containerId: string
      readonly argv: readonly string[]
      readonly env: Readonly<Record<string, string>>
      readonly how: ExecHow
    }
  /** The session's output is what the container has used, and then it ends. */
  | { readonly do: 'open-usage'; readonly sessionId: string; readonly containerId: string }
  | { readonly do: 'write-session'; readonly sessionId: string; readonly bytes: Uint8Array }
  | { readonly do: 'end-session-input'; readonly sessionId: string }
  | { readonly do: 'signal-session'; readonly sessionId: string; readonly signal: string }
  | { readonly do: 'resize-session'; readonly sessionId: string; readonly size: TerminalSize }
  /** Its reader is slow: no more output, until it may go on. */
  | { readonly do: 'hold-session'; readonly sessionId: string; readonly isHeld: boolean }
  | { readonly do: 'close-session'; readonly sessionId: string }
  /** Nothing runs any more. */
  | { readonly do: 'stopped' }
