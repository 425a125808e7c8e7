import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MemoryCluster, type MemoryMaster } from '../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import type { SecretApi } from './master-api.ts'

const root = callerOf('root')

/** What one secret may be: its version and its value, or nothing but the version it once had. */
interface Possible {
  readonly version: number
  readonly value: string | undefined
}

type Step =
  | {
      readonly do: 'create' | 'update' | 'delete' | 'read'
      readonly path: string
      readonly at: number
    }
  | { readonly do: 'crash' | 'restart' | 'cut'; readonly at: number }
  | { readonly do: 'heal' }

const at = fc.nat(2)
const path = fc.constantFrom('a', 'a/b')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('create', 'update', 'delete', 'read'), path, at }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('crash', 'restart', 'cut'), at }) },
  { weight: 1, arbitrary: fc.constant({ do: 'heal' as const }) },
)

/** What the secrets are if every acknowledged change happened, and any unanswered one may have. */
class Model {
  readonly #possible = new Map<string, readonly Possible[]>()

  of(secret: string): readonly Possible[] {
    return this.#possible.get(secret) ?? [{ version: 0, value: undefined }]
  }

  /** `change` answers with what a state becomes, or undefined where it does not apply. */
  happened(secret: string, change: (one: Possible) => Possible | undefined): void {
    this.#set(
      secret,
      this.of(secret).flatMap((one) => change(one) ?? []),
    )
  }

  mayHaveHappened(secret: string, change: (one: Possible) => Possible | undefined): void {
    this.#possible.set(secret, [
      ...this.of(secret),
      ...this.of(secret).flatMap((one) => change(one) ?? []),
    ])
  }

  /** Only states for which `holds` remain possible. */
  observed(secret: string, holds: (one: Possible) => boolean): void {
    this.#set(secret, this.of(secret).filter(holds))
  }

  #set(secret: string, possible: readonly Possible[]): void {
    if (possible.length === 0) throw new Error(`${secret} cannot be what was answered`)
    this.#possible.set(secret, possible)
  }
}

const exists = ({ value }: Possible): boolean => value !== undefined

const changes = {
  create: (value: string) => (one: Possible) =>
    exists(one) ? undefined : { version: one.version + 1, value },
  update: (value: string) => (one: Possible) =>
    exists(one) ? { version: one.version + 1, value } : undefined,
  delete: () => (one: Possible) =>
    exists(one) ? { version: one.version, value: undefined } : undefined,
} as const

const act = {
  create: (secrets: SecretApi, secret: string, value: string) =>
    secrets.create(root, secret, { kind: 'text', bytes: new Redacted(utf8(value)) }),
  update: (secrets: SecretApi, secret: string, value: string) =>
    secrets.update(root, secret, { kind: 'text', bytes: new Redacted(utf8(value)) }),
  delete: (secrets: SecretApi, secret: string) => secrets.delete(root, secret),
} as const

async function tryStep(
  cluster: MemoryCluster,
  model: Model,
  wanted: Step,
  value: string,
): Promise<void> {
  switch (wanted.do) {
    case 'heal':
      return cluster.heal()
    case 'cut':
      return cluster.cut(masterAt(cluster, wanted.at))
    case 'crash': {
      const master = masterAt(cluster, wanted.at)
      if (master.isUp) master.crash()
      return
    }
    case 'restart': {
      const master = masterAt(cluster, wanted.at)
      if (!master.isUp) master.restart()
      return
    }
    default: {
      const master = masterAt(cluster, wanted.at)
      if (master.isUp) await tryCall(cluster, master, model, wanted.do, wanted.path, value)
    }
  }
}

async function tryCall(
  cluster: MemoryCluster,
  { actor: { secrets } }: MemoryMaster,
  model: Model,
  call: 'create' | 'update' | 'delete' | 'read',
  secret: string,
  value: string,
): Promise<void> {
  try {
    if (call === 'read') {
      const { bytes, metadata } = await cluster.settle(secrets.read(root, secret))
      const read = utf8Text(bytes.reveal())
      model.observed(secret, (one) => one.value === read && one.version === metadata.version)
    } else {
      await cluster.settle<unknown>(act[call](secrets, secret, value))
      model.happened(secret, changes[call](value))
    }
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'secret.not-found') return model.observed(secret, (one) => !exists(one))
    if (code === 'secret.exists') return model.observed(secret, exists)
    if (code === 'cluster.unavailable') return
    if (code !== 'cluster.outcome-unknown' || call === 'read') throw error
    model.mayHaveHappened(secret, changes[call](value))
  }
}

function masterAt(cluster: MemoryCluster, index: number): MemoryMaster {
  const master = cluster.masters[index]
  if (master === undefined) throw new Error('there are three masters')
  return master
}

test('R2: whatever crashes or is cut off, secrets are what was acknowledged, at every master', async () => {
  const identities = await firstPeople(new SeededRandom(1))
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async (seed, steps) => {
        const cluster = new MemoryCluster({
          clock: new ManualClock(),
          random: new SeededRandom(seed),
          identities,
          replicaLimits: { deadlineTicks: 60, snapshotEntries: 20, trailingEntries: 5 },
        })
        await cluster.elected()
        const model = new Model()
        for (const [index, wanted] of steps.entries())
          await tryStep(cluster, model, wanted, `value ${index}`)

        cluster.heal()
        for (const master of cluster.masters) if (!master.isUp) master.restart()
        await cluster.elected()
        for (const master of cluster.masters) {
          for (const secret of ['a', 'a/b'])
            await tryCall(cluster, master, model, 'read', secret, '')
        }
        const [first, ...others] = cluster.masters.map(({ store }) => store.list('secret/').kvs)
        for (const other of others) expect(other).toEqual(first)
      },
    ),
    { numRuns: 60 },
  )
}, 60_000)
