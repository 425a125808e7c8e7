import type { RedactedBytes } from '@conclave/kernel'

/**
 * Where a file lies, component by component. The first is Mesos' directory that it is in: `work_dir` or
 * `runtime_dir`. Ids are components as they are: whoever writes the file refuses one that leads elsewhere.
 */
export type LeftPath = readonly [root: 'work_dir' | 'runtime_dir', ...below: string[]]

/**
 * The port: a disk on which an agent leaves what Mesos' leaves there. There is one on agents that leak as
 * Mesos does, and on no others (docs/adr/0038).
 */
export interface LeftFiles {
  /** Makes the directories above it. The caller wipes `bytes`. Harmless when it cannot be written. */
  write(at: LeftPath, bytes: RedactedBytes, mode: number): void
  /** A file, or all of a directory. Harmless when there is none. */
  remove(at: LeftPath): void
}

/** Mesos writes a new file beside it, which `mkstemp` makes, and renames that. */
export const checkpointMode = 0o600
/** Mesos' volume/secret leaves the mode of its copies to the umask, which is 022. */
export const secretCopyMode = 0o644

/** Of one executor, below it its runs. Source: `src/slave/paths.hpp`. */
export const executorPath = (
  agentId: string,
  frameworkId: string,
  executorId: string,
): LeftPath => [
  'work_dir',
  'meta',
  'slaves',
  agentId,
  'frameworks',
  frameworkId,
  'executors',
  executorId,
]

/** Of one container; of nested ones below their parents. `src/slave/containerizer/mesos/paths.hpp`. */
export const containerPath = (name: string): LeftPath => [
  'runtime_dir',
  ...name.split('.').flatMap((id) => ['containers', id]),
]

/** Nested containers have no place in their parent's here: their whole name is one component. */
export const secretCopiesPath = (name: string): LeftPath => ['runtime_dir', '.secret', name]

export const below = (path: LeftPath, ...names: readonly string[]): LeftPath => [...path, ...names]
