import type { ImageWanted } from './image.ts'
import type { UriWanted } from './uri.ts'
import { Redacted, wipe, type RedactedBytes } from '@conclave/kernel'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** One thing to be done for one container before it starts. */
export type Step =
  /** Lays an image down as the container's root; its variables replace those that were set before. */
  | { readonly do: 'provision-image'; readonly image: ImageWanted }
  /** The container's own tmpfs, out of its sight until files are bound from it. */
  | { readonly do: 'mount-tmpfs'; readonly sizeBytes: number; readonly inodes: number }
  /** A new file `name`, a single component, directly in the tmpfs. */
  | {
      readonly do: 'write-file'
      readonly name: string
      readonly bytes: RedactedBytes
      readonly mode: number
      readonly owner: Owner
    }
  /** Shows the file `name` of the tmpfs at `at`, an absolute path in the container. */
  | {
      readonly do: 'bind-file'
      readonly name: string
      readonly at: string
      readonly isReadOnly: boolean
      /** Fails where there is no file to bind over: without an image, nobody may make one there. */
      readonly mustExist?: boolean
      /** What `mount` shows beside `ro` or `rw`, in place of the tmpfs's own options. */
      readonly mountOptions?: string
    }
  /** Fetches into the sandbox, as its owner's own files. */
  | { readonly do: 'fetch-uri'; readonly uri: UriWanted; readonly owner: Owner }
  /** A line at the head of what the container prints: of names, never of values. */
  | { readonly do: 'print'; readonly line: string }
  | { readonly do: 'set-env'; readonly name: string; readonly value: string | RedactedBytes }

/** What a container gets, in order: plain data that a test can read and a {@link Host} carries out. */
export type Plan = readonly Step[]

/** What undoes steps. Each is harmless where there is nothing to undo. */
export type UndoStep =
  | { readonly do: 'clear-env' }
  | { readonly do: 'unbind-file'; readonly at: string }
  | { readonly do: 'unmount-tmpfs' }

/** What leaves nothing of `plan`, in the order that works: names first, then what they named. */
export function planCleanup(plan: Plan): readonly UndoStep[] {
  const hasEnvironment = plan.some((step) => step.do === 'set-env')
  const hasTmpfs = plan.some((step) => step.do === 'mount-tmpfs')
  return [
    ...(hasEnvironment ? [{ do: 'clear-env' } as const] : []),
    ...plan
      .filter((step) => step.do === 'bind-file')
      .toReversed()
      .map(({ at }) => ({ do: 'unbind-file', at }) as const),
    ...(hasTmpfs ? [{ do: 'unmount-tmpfs' } as const] : []),
  ]
}

/** Overwrites every value that `plan` still carries. */
export function wipePlan(plan: Plan): void {
  for (const step of plan) {
    if (step.do === 'write-file') wipe(step.bytes)
    if (step.do === 'provision-image' && step.image.dockerConfig !== undefined) {
      wipe(step.image.dockerConfig)
    }
    if (step.do === 'fetch-uri') {
      for (const secret of Object.values(step.uri.secrets)) if (secret !== undefined) wipe(secret)
    }
    if (step.do === 'set-env' && step.value instanceof Redacted) wipe(step.value)
  }
}
