import type { ImageEntry } from '@conclave/isolators'
import { ImageRefused } from './errors.ts'
import type { ImageBudget } from './layer.ts'

/*
 * The file system of an image while its layers are laid over each other: data, and no file system. A
 * name in a layer is looked for in the tree alone, so there is no place outside that it could mean.
 */

interface Attributes {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

interface EntryAttributes extends Attributes {
  readonly path: string
  /** Of a tar archive's; no image has times. */
  readonly modifiedAtMs?: number
}

export type LayerEntry =
  | ({ readonly kind: 'directory' } & EntryAttributes)
  | ({ readonly kind: 'file'; readonly bytes: Uint8Array } & EntryAttributes)
  | ({ readonly kind: 'symlink'; readonly target: string } & EntryAttributes)
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

interface Directory extends Attributes {
  readonly kind: 'directory'
  readonly children: Map<string, Node>
}
interface File extends Attributes {
  readonly kind: 'file'
  readonly bytes: Uint8Array
}
interface Link extends Attributes {
  readonly kind: 'symlink'
  readonly target: string
}
type Node = Directory | File | Link

const linksMax = 40
/** As long as Linux lets a path be. */
const pathMax = 4096
/** Far more than anybody builds, and few enough to walk down. */
const depthMax = 256
const usual: Attributes = { mode: 0o755, uid: 0, gid: 0 }
const whiteout = '.wh.'
const opaque = '.wh..wh..opq'

export class ImageTree {
  readonly #budget: Pick<ImageBudget, 'entry'>
  #root: Directory = { kind: 'directory', ...usual, children: new Map() }

  /** @param budget told of each directory that no entry names: a few bytes may lead through thousands */
  constructor(budget: Pick<ImageBudget, 'entry'>) {
    this.#budget = budget
  }

  /** Lays one entry of a layer over what is there. @throws ImageRefused */
  add(entry: LayerEntry): void {
    const names = componentsOf(entry.path)
    const name = names.pop()
    if (name === undefined) return this.#addRoot(entry)
    const parent = this.#directoryAt(names, 0)
    if (name === opaque) return parent.children.clear()
    if (name.startsWith(whiteout)) {
      parent.children.delete(name.slice(whiteout.length))
      return
    }
    parent.children.set(name, this.#nodeOf(entry, parent.children.get(name)))
  }

  /** Everything but the root, directories before what is in them. */
  *entries(): Generator<ImageEntry> {
    yield* entriesOf(this.#root, '')
  }

  #addRoot(entry: LayerEntry): void {
    if (entry.kind !== 'directory') throw refused('it replaces the root')
    this.#root = { ...this.#root, mode: entry.mode, uid: entry.uid, gid: entry.gid }
  }

  #nodeOf(entry: LayerEntry, before: Node | undefined): Node {
    switch (entry.kind) {
      case 'directory': {
        const { mode, uid, gid } = entry
        // A directory over a directory changes what it is like, and keeps what is in it.
        const children = before?.kind === 'directory' ? before.children : new Map<string, Node>()
        return { kind: 'directory', mode, uid, gid, children }
      }
      case 'file': {
        const { mode, uid, gid, bytes } = entry
        return { kind: 'file', mode, uid, gid, bytes }
      }
      case 'symlink': {
        const { mode, uid, gid, target } = entry
        if (target === '' || target.length > pathMax || target.includes('\0')) {
          throw refused('a symbolic link leads nowhere')
        }
        return { kind: 'symlink', mode, uid, gid, target }
      }
      case 'link': {
        const names = componentsOf(entry.target)
        const name = names.pop() ?? ''
        const linked = this.#directoryAt(names, 0).children.get(name)
        if (linked?.kind === 'file' || linked?.kind === 'symlink') return linked
        throw refused('a hard link leads to no file of the image')
      }
    }
    throw refused('an entry is of no known kind')
  }

  /** The directory at a path, through symbolic links of the image, made where it is missing. */
  #directoryAt(names: readonly string[], links: number): Directory {
    if (names.length > depthMax) throw refused(`a path has more than ${depthMax} directories`)
    const way: Directory[] = [this.#root]
    for (const [index, name] of names.entries()) {
      const here = way.at(-1) ?? this.#root
      if (name === '..') {
        if (way.length > 1) way.pop()
        continue
      }
      const found = here.children.get(name)
      if (found?.kind === 'symlink') {
        if (links >= linksMax) throw refused('its symbolic links lead in a circle')
        const base = found.target.startsWith('/') ? [] : names.slice(0, index)
        const target = found.target.split('/').filter((part) => part !== '' && part !== '.')
        return this.#directoryAt([...base, ...target, ...names.slice(index + 1)], links + 1)
      }
      if (found?.kind === 'file') throw refused('a file is used as a directory')
      if (found === undefined) {
        this.#budget.entry()
        const made: Directory = { kind: 'directory', ...usual, children: new Map() }
        here.children.set(name, made)
        way.push(made)
      } else {
        way.push(found)
      }
    }
    return way.at(-1) ?? this.#root
  }
}

const refused = (why: string): ImageRefused =>
  new ImageRefused(`the image cannot be laid down: ${why}`)

/** The names in the path of an entry. No `..`: no builder of images makes one, and no reader should try. */
function componentsOf(path: string): string[] {
  if (path.length > pathMax || path.includes('\0')) throw refused('a path is none')
  const names = path.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) throw refused('a path has a ".." component')
  return names
}

function* entriesOf(directory: Directory, at: string): Generator<ImageEntry> {
  for (const [name, node] of directory.children) {
    const path = `${at}/${name}`
    const { mode } = node
    const owner = { uid: node.uid, gid: node.gid }
    switch (node.kind) {
      case 'directory':
        yield { kind: 'directory', path, mode, owner }
        yield* entriesOf(node, path)
        break
      case 'file':
        yield { kind: 'file', path, mode, owner, bytes: node.bytes }
        break
      case 'symlink':
        yield { kind: 'symlink', path, target: node.target, owner }
        break
    }
  }
}
