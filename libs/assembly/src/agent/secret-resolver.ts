import { ModuleResolver, readModules } from '@conclave/resolver-modules'
import type { Log } from '@conclave/runtime'

/** Mesos' `--modules` and `--secret_resolver`. */
export interface SecretResolverChoice {
  /** `store`, `default`, or the name of a module of `modules`. */
  readonly name: string
  /** Inline JSON, `file:///path`, or a path. Empty: no modules. */
  readonly modules: string
}

export const usualResolver: SecretResolverChoice = { name: 'store', modules: '' }

const ownNames: readonly string[] = ['store', 'default']

/** Who the agent's core asks for what is referred to. */
export function referencesOf({ name } = usualResolver): 'store' | 'default' | 'outside' {
  return name === 'store' || name === 'default' ? name : 'outside'
}

/**
 * Loads the module that was chosen; nothing when none was. The document is read all the same, so that
 * a mistake in it does not wait for whoever uses it.
 *
 * @throws ModulesInvalid, ResolverNotInitialized
 */
export async function openResolver(
  { name, modules } = usualResolver,
  log: Log,
): Promise<ModuleResolver | undefined> {
  const known = modules === '' ? new Map() : await readModules(modules, process.cwd())
  if (ownNames.includes(name)) {
    if (name === 'default') log.info({}, 'Creating default secret resolver')
    return undefined
  }
  log.info({}, `Creating secret resolver '${name}'`)
  return ModuleResolver.start(known, name)
}
