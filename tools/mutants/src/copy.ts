import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Mutant } from './table.ts'

/** A copy of the repository that may be broken. The repository itself is only read. */
export class Copy {
  readonly root: string

  constructor(original: string) {
    this.root = join(mkdtempSync(join(tmpdir(), 'mutants-')), 'main')
    mkdirSync(this.root)
    const left = new Set(['node_modules', 'dist', 'coverage', '.vitest'])
    for (const name of ['libs', 'tools', 'package.json', 'tsconfig.base.json']) {
      cpSync(join(original, name), join(this.root, name), {
        recursive: true,
        filter: (path) => !left.has(basename(path)),
      })
    }
    this.#link(join(original, 'node_modules'))
  }

  /** Puts the wrong line in, lets `use` look at it, and takes it out again. */
  async with<T>({ file, find, replace, name }: Mutant, use: () => Promise<T>): Promise<T> {
    const path = join(this.root, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(find).length !== 2) {
      throw new Error(`${name}: what it looks for is not in ${file} exactly once`)
    }
    writeFileSync(
      path,
      text.replace(find, () => replace),
    )
    try {
      return await use()
    } finally {
      writeFileSync(path, text)
    }
  }

  remove(): void {
    rmSync(join(this.root, '..'), { recursive: true, force: true })
  }

  /** What others wrote is shared with the original; what is ours is the copy's. */
  #link(modules: string): void {
    const here = join(this.root, 'node_modules')
    mkdirSync(join(here, '@conclave'), { recursive: true })
    for (const name of readdirSync(modules)) {
      if (name !== '@conclave') symlinkSync(join(modules, name), join(here, name))
    }
    for (const floor of ['libs', 'tools']) {
      for (const room of readdirSync(join(this.root, floor))) {
        symlinkSync(join('../..', floor, room), join(here, '@conclave', room))
      }
    }
  }
}
