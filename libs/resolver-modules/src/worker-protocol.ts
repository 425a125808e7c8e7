import type { ModuleSecret } from '@conclave/resolver/module'

/* What an agent and the thread of its resolver module say to each other. */

/** How the thread is started. */
export interface WorkerStart {
  readonly name: string
  readonly library: string
  readonly url: string
  readonly parameters: Readonly<Record<string, string>>
  readonly valueSizeBytesMax: number
}

export interface WorkerQuestion {
  readonly type: 'resolve'
  readonly id: number
  readonly secret: ModuleSecret
  readonly purpose: string
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
  readonly deadlineMs: number
}

export type ToWorker =
  | WorkerQuestion
  | { readonly type: 'abandon'; readonly id: number }
  | { readonly type: 'ping' }
  | { readonly type: 'close' }

export type FromWorker =
  | { readonly type: 'ready' }
  /** The module could not be made. */
  | { readonly type: 'refused'; readonly why: string }
  /** `data` is transferred, so it is in one place. */
  | { readonly type: 'value'; readonly id: number; readonly data: Uint8Array }
  | { readonly type: 'failed'; readonly id: number; readonly code: string; readonly why: string }
  | { readonly type: 'pong' }
  | { readonly type: 'closed' }
