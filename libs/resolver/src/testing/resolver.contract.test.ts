import { describe, expect, test } from 'vitest'
import type { ModuleContext, ModuleSecret, SecretResolverModule } from '../module.ts'
import { resolverChecks, resolverContract, type ResolverSubject } from './resolver.contract.ts'

const refused = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code })

/** A module as it should be, over a store in memory. Each sabotage changes one thing. */
class GoodModule implements SecretResolverModule {
  readonly store = new Map<string, Uint8Array>()
  stalled: Promise<void> | undefined

  async resolve(
    { reference }: ModuleSecret,
    { signal }: ModuleContext,
  ): Promise<{ data: Uint8Array }> {
    this.begin(signal)
    if (!/^[\w-]+(\/[\w-]+)*$/.test(reference.name) || reference.name.length > 1000) {
      throw refused('INVALID_REFERENCE', 'that is no name of a secret')
    }
    await this.stalled
    this.begin(signal)
    const stored = this.store.get(`${reference.name} ${reference.key ?? ''}`)
    if (stored === undefined) throw this.missing(reference.name)
    return { data: this.answer(stored) }
  }

  begin(signal: AbortSignal): void {
    if (signal.aborted) throw refused('TIMEOUT', 'nobody waits')
  }

  missing(_name: string): Error {
    return refused('NOT_FOUND', 'there is no such secret')
  }

  answer(stored: Uint8Array): Uint8Array {
    return Uint8Array.from(stored)
  }
}

const subjectOf = (module: GoodModule): ResolverSubject => ({
  module,
  plant: (name, bytes, key = '') => void module.store.set(`${name} ${key}`, bytes),
  stall: () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    module.stalled = promise
    return resolve
  },
})

resolverContract('a module in memory', () => subjectOf(new GoodModule()))

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

/** A bug, the class that has it, and the check that finds it. */
const sabotages: readonly [bug: string, module: new () => GoodModule, foundBy: string][] = [
  [
    'it takes the slice of a Buffer for a copy',
    class extends GoodModule {
      override answer(stored: Uint8Array): Uint8Array {
        return stored.slice()
      }
    },
    'gives its answer away',
  ],
  [
    'it keeps the bytes that it gives away',
    class extends GoodModule {
      override answer(stored: Uint8Array): Uint8Array {
        return stored
      }
    },
    'gives its answer away',
  ],
  [
    'it answers with text',
    class extends GoodModule {
      override answer(stored: Uint8Array): Uint8Array {
        return textOf(stored) as unknown as Uint8Array
      }
    },
    'exactly the bytes',
  ],
  [
    'it takes bytes for text on the way',
    class extends GoodModule {
      override answer(stored: Uint8Array): Uint8Array {
        return new TextEncoder().encode(textOf(stored))
      }
    },
    'exactly the bytes',
  ],
  [
    'it trims',
    class extends GoodModule {
      override answer(stored: Uint8Array): Uint8Array {
        return stored.slice(0, -1)
      }
    },
    'exactly the bytes',
  ],
  [
    'it answers after it was given up',
    class extends GoodModule {
      override begin(): void {}
    },
    'gives up when nobody waits',
  ],
  [
    'it tells in its error what is there instead',
    class extends GoodModule {
      override missing(): Error {
        return refused('NOT_FOUND', `only ${[...this.store.values()].map(textOf).join()} is there`)
      }
    },
    'shows no value',
  ],
  [
    'it prints what it answers',
    class extends GoodModule {
      override answer(stored: Uint8Array): Uint8Array {
        // oxlint-disable-next-line no-console -- that is the bug
        console.log('resolved', textOf(stored))
        return stored.slice()
      }
    },
    'shows no value',
  ],
  [
    'it does not look at the key',
    class extends GoodModule {
      override async resolve(
        secret: ModuleSecret,
        context: ModuleContext,
      ): Promise<{ data: Uint8Array }> {
        const first = [...this.store].findLast(([name]) =>
          name.startsWith(`${secret.reference.name} `),
        )
        return first === undefined ? super.resolve(secret, context) : { data: first[1].slice() }
      }
    },
    'tells a key from another',
  ],
  [
    'it answers with nothing for what is not there',
    class extends GoodModule {
      override async resolve(
        secret: ModuleSecret,
        context: ModuleContext,
      ): Promise<{ data: Uint8Array }> {
        return super.resolve(secret, context).catch(() => ({ data: new Uint8Array() }))
      }
    },
    'refuses what is not there',
  ],
  [
    'its errors have no code',
    class extends GoodModule {
      override missing(): Error {
        return new Error('no')
      }
    },
    'refuses what is not there',
  ],
]

describe('the contract finds a module', () => {
  test.each(sabotages)('RS10: of which is true: %s', async (_bug, Module, foundBy) => {
    const check = resolverChecks.find(({ name }) => name.includes(foundBy))
    await expect(check?.run(subjectOf(new Module()))).rejects.toThrow()
  })
})
