import { existsSync, readdirSync } from 'node:fs'
import { flushCompileCache, getCompileCacheDir } from 'node:module'

/**
 * For when all is loaded: Node keeps what it has read of its compile cache, for a master 11 MiB that nobody
 * needs again, until it is told to write what is new there. On a very first start all of it is new, and to write so many
 * files would hold that start up: then it stays, and Node writes it when the process ends.
 */
export function forgetCompileCache(): void {
  const directory = getCompileCacheDir()
  if (directory !== undefined && !isEmpty(directory)) flushCompileCache()
}

/** Where somebody has removed it meanwhile, there is nothing in it either. */
const isEmpty = (path: string): boolean => !existsSync(path) || readdirSync(path).length === 0
