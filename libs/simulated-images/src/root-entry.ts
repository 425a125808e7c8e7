import { utf8 } from '@conclave/kernel'

/*
 * The files of a simulated image, as an `ImageSource` of the isolators' gives them. Absolute, normal, each
 * after the directory that it is in.
 */

interface Owner {
  readonly uid: number
  readonly gid: number
}

export type RootEntry =
  | {
      readonly kind: 'directory'
      readonly path: string
      readonly mode: number
      readonly owner: Owner
    }
  | {
      readonly kind: 'file'
      readonly path: string
      readonly mode: number
      readonly owner: Owner
      readonly bytes: Uint8Array
    }
  | {
      readonly kind: 'symlink'
      readonly path: string
      readonly target: string
      readonly owner: Owner
    }

const root: Owner = { uid: 0, gid: 0 }

export const directory = (path: string, mode = 0o755, owner = root): RootEntry => ({
  kind: 'directory',
  path,
  mode,
  owner,
})

export const file = (path: string, text: string, mode = 0o644): RootEntry => ({
  kind: 'file',
  path,
  mode,
  owner: root,
  bytes: utf8(text),
})

/** A program: a script, since a simulated machine runs no other. */
export const script = (path: string, text: string): RootEntry => file(path, text, 0o755)

export const link = (path: string, target: string): RootEntry => ({
  kind: 'symlink',
  path,
  target,
  owner: root,
})
