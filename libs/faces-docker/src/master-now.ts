import type { MasterApi } from '@conclave/actors'

type Method = (...args: readonly unknown[]) => unknown

/**
 * A master that is looked up anew with each call, for a machine that comes into clusters and leaves them
 * while the routes of its face stay. Its parts may be taken at any time; only calls need the master.
 *
 * @param now the master at this moment; throws what callers shall be told when there is none
 */
export const masterNow = (now: () => MasterApi): MasterApi =>
  // Either a method itself, such as `status`, or a part with methods, such as `secrets`.
  byName((name) =>
    byName((method) => call(() => part(now(), name), method), call(now, name)),
  ) as MasterApi

const part = (owner: object, name: PropertyKey): object =>
  (owner as Readonly<Record<PropertyKey, object>>)[name] ?? {}

/** Calls a method of whoever is there then. */
const call =
  (owner: () => object, name: PropertyKey): Method =>
  (...args) => {
    const found = owner() as Readonly<Record<PropertyKey, Method>>
    return found[name]?.apply(found, [...args])
  }

/** An object whose properties are made when they are first asked for, and that may be callable itself. */
function byName(make: (name: PropertyKey) => unknown, itself: Method = () => undefined): object {
  const made = new Map<PropertyKey, unknown>()
  return new Proxy(itself, {
    get(_, name) {
      // Whoever awaits it must not take it for a promise.
      if (name === 'then') return undefined
      const known = made.get(name) ?? make(name)
      made.set(name, known)
      return known
    },
  })
}
