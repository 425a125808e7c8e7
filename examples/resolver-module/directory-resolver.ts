import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type {
  CreateSecretResolver,
  ModuleContext,
  ModuleSecret,
  ModuleValue,
  SecretResolverModule,
} from '@conclave/resolver/module'

/*
 * A resolver module over a directory, as a volume of secrets in another orchestrator looks: `db/prod` is
 * the file `db/prod`, its key `password` the file `db/prod/password`. Copy it, and ask your own store.
 */

/** An error with a known code is an answer: its message is shown to whoever launched the task. */
const refused = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code })

/** One component after the other, so that no name leads out of the directory. */
const nameOfFile = /^[\w-][\w.-]{0,200}(\/[\w-][\w.-]{0,200}){0,15}$/

class DirectoryResolver implements SecretResolverModule {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async resolve({ reference }: ModuleSecret, { signal }: ModuleContext): Promise<ModuleValue> {
    const { name, key } = reference
    const path = (key === undefined ? name : `${name}/${key}`).replace(/^\//, '')
    if (!nameOfFile.test(path))
      throw refused('INVALID_REFERENCE', 'that cannot be the name of a file')
    try {
      // A new array for each answer: whoever asked overwrites it.
      return { data: await readFile(join(this.#root, path), { signal }) }
    } catch (error) {
      if (signal.aborted) throw refused('TIMEOUT', 'nobody waits any more')
      const { code } = error as NodeJS.ErrnoException
      const isMissing = code === 'ENOENT' || code === 'EISDIR' || code === 'ENOTDIR'
      // Not the words of the error: a path may tell more than its reader should know.
      throw isMissing
        ? refused('NOT_FOUND', 'there is no such file')
        : refused('UNAVAILABLE', 'the file cannot be read')
    }
  }
}

/** What the agent calls, with the `parameters` of the document. */
export const org_example_DirectoryResolver: CreateSecretResolver = ({ directory }) => {
  if (directory === undefined) throw new Error('the parameter "directory" is missing')
  return new DirectoryResolver(directory)
}
