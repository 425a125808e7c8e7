import type { MasterApi } from '@conclave/actors'

type Part = (...args: readonly unknown[]) => unknown

/**
 * A master that is looked up anew with each call, for a machine that comes into clusters and leaves them
 * while the routes of its face stay. Its parts may be taken at any time; only calls need the master.
 *
 * @param now the master at this moment; throws what callers shall be told when there is none
 */
export function masterNow(now: () => MasterApi): MasterApi {
  const parts = new Map<PropertyKey, unknown>()
  return new Proxy({} as MasterApi, {
    get(_, name: keyof MasterApi) {
      const known = parts.get(name) ?? partNow(() => now()[name] as unknown)
      parts.set(name, known)
      return known
    },
  })
}

/** Either a method itself, such as `status`, or something with methods, such as `secrets`. */
function partNow(part: () => unknown): unknown {
  const methods = new Map<PropertyKey, Part>()
  const call: Part = (...args) => (part() as Part)(...args)
  return new Proxy(call, {
    get(_, name) {
      const known =
        methods.get(name) ??
        ((...args: readonly unknown[]) => {
          const owner = part() as Record<PropertyKey, Part>
          return owner[name]?.apply(owner, [...args])
        })
      methods.set(name, known)
      return known
    },
    apply: (_, __, args: readonly unknown[]) => call(...args),
  })
}
