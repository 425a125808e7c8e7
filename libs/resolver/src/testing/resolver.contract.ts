import { canary, expectNoLeak } from '@conclave/testkit'
import { describe, expect, test, vi } from 'vitest'
import {
  moduleRefusals,
  type ModuleContext,
  type ModuleSecret,
  type SecretResolverModule,
} from '../module.ts'

/** The module under test, and the store behind it. */
export interface ResolverSubject {
  readonly module: SecretResolverModule
  /** Puts a value where the module looks for `name` (and `key`). A store of text is not enough. */
  readonly plant: (name: string, bytes: Uint8Array, key?: string) => void | Promise<void>
  /** Makes the store silent from now on; the function returned lets it answer everything that waits. */
  readonly stall: () => () => void
}

export interface ResolverCheck {
  readonly name: string
  readonly run: (subject: ResolverSubject) => Promise<void>
}

const secretOf = (name: string, key?: string): ModuleSecret => ({
  type: 'REFERENCE',
  reference: { name, ...(key === undefined ? {} : { key }) },
})

const contextOf = (signal = new AbortController().signal): ModuleContext => ({
  signal,
  deadlineMs: Date.now() + 10_000,
  purpose: 'env CONTRACT',
  frameworkId: 'framework',
  taskId: 'task',
  containerId: 'container',
})

/** Checked as a guest's answer is: a type is a promise, and no proof. */
async function dataOf(answer: unknown): Promise<Uint8Array> {
  const data: unknown = ((await answer) as { data?: unknown } | undefined)?.data
  expect(data, 'the answer is { data: Uint8Array }, and neither text nor nothing').toBeInstanceOf(
    Uint8Array,
  )
  return data as Uint8Array
}

async function refusalOf(answer: Promise<unknown>, why: string): Promise<unknown> {
  const outcome = await answer.then(
    () => 'an answer',
    (error: unknown) => ({ error }),
  )
  if (typeof outcome === 'string') expect.fail(why)
  return outcome.error
}

const everyByte = Uint8Array.from({ length: 512 }, (_, index) => index & 255)

/** What every resolver module must do, one by one, each with the bug that it finds. */
export const resolverChecks: readonly ResolverCheck[] = [
  {
    name: 'answers with exactly the bytes, whatever they are',
    async run({ module, plant }) {
      await plant('contract/binary', everyByte.slice())

      const data = await dataOf(module.resolve(secretOf('contract/binary'), contextOf()))

      expect([...data]).toEqual([...everyByte])
    },
  },
  {
    name: 'tells a key from another, and from none',
    async run({ module, plant }) {
      await plant('contract/keys', Uint8Array.of(1), 'one')
      await plant('contract/keys', Uint8Array.of(2), 'two')

      const one = await dataOf(module.resolve(secretOf('contract/keys', 'one'), contextOf()))
      const two = await dataOf(module.resolve(secretOf('contract/keys', 'two'), contextOf()))

      expect([[...one], [...two]]).toEqual([[1], [2]])
    },
  },
  {
    name: 'gives its answer away, and keeps no array that somebody else overwrites',
    async run({ module, plant }) {
      // A Buffer, because its `slice` is no copy.
      await plant('contract/kept', Buffer.from([7, 8, 9]))
      const secret = secretOf('contract/kept')
      const both = await Promise.all([
        dataOf(module.resolve(secret, contextOf())),
        dataOf(module.resolve(secret, contextOf())),
      ])

      both[0].fill(0)

      expect([...both[1]], 'another answer changed with it').toEqual([7, 8, 9])
      const again = await dataOf(module.resolve(secret, contextOf()))
      expect([...again], 'the next answer is what was overwritten').toEqual([7, 8, 9])
    },
  },
  {
    name: 'answers many at once, each with its own',
    async run({ module, plant }) {
      const names = Array.from({ length: 50 }, (_, index) => `contract/many/${index}`)
      for (const [index, name] of names.entries()) await plant(name, Uint8Array.of(index))

      const all = await Promise.all(
        names.map((name) => dataOf(module.resolve(secretOf(name), contextOf()))),
      )

      expect(all.map(([first]) => first)).toEqual(names.map((_, index) => index))
    },
  },
  {
    name: 'refuses what is not there, with a code',
    async run({ module }) {
      const answer = module.resolve(secretOf('contract/not/there'), contextOf())

      const error = await refusalOf(answer, 'it answered for a secret that is not there')

      expect((error as { code?: string }).code).toBe('NOT_FOUND')
    },
  },
  {
    name: 'has for each refusal a code of the closed set, and says why',
    async run({ module }) {
      for (const name of ['', '../contract', 'contract//x', 'contract/\0', 'x'.repeat(5000)]) {
        const answer = Promise.resolve().then(() => module.resolve(secretOf(name), contextOf()))
        const error = await refusalOf(answer, `it answered for the name ${JSON.stringify(name)}`)
        const { code = '', message } = error as { code?: string; message?: string }
        expect(Object.keys(moduleRefusals)).toContain(code)
        expect(message).toMatch(/\w/)
      }
    },
  },
  {
    name: 'shows no value: not in an error, not in what it prints, not in itself',
    async run({ module, plant }) {
      const planted = canary('contract')
      const printed: unknown[] = []
      const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) =>
        vi.spyOn(console, method).mockImplementation((...words) => void printed.push(...words)),
      )
      try {
        await plant('contract/canary', planted.bytes, 'key')
        const data = await dataOf(module.resolve(secretOf('contract/canary', 'key'), contextOf()))
        expect(Buffer.from(data).toString()).toBe(planted.text)
        data.fill(0)
        const answer = module.resolve(secretOf('contract/canary', 'no-such-key'), contextOf())
        const error = await refusalOf(answer, 'it answered for a key that is not there')
        expectNoLeak({ error, printed }, [planted])
      } finally {
        for (const spy of spies) spy.mockRestore()
      }
    },
  },
  {
    name: 'gives up when nobody waits any more, and answers nothing after that',
    async run({ module, plant, stall }) {
      await plant('contract/slow', Uint8Array.of(1))
      const waiting = new AbortController()
      const release = stall()
      const answer = module.resolve(secretOf('contract/slow'), contextOf(waiting.signal))
      waiting.abort()
      release()

      await refusalOf(answer, 'it answered after it was given up')
    },
  },
  {
    name: 'does not begin what was given up before',
    async run({ module, plant }) {
      await plant('contract/late', Uint8Array.of(1))
      const answer = Promise.resolve().then(() =>
        module.resolve(secretOf('contract/late'), contextOf(AbortSignal.abort())),
      )

      await refusalOf(answer, 'it answered a question that was given up before it was asked')
    },
  },
]

/**
 * The suite that a resolver module has to pass. Its author calls it in a test file of their own:
 *
 *     resolverContract('my resolver', async () => ({ module, plant, stall }))
 */
export function resolverContract(
  name: string,
  setUp: () => ResolverSubject | Promise<ResolverSubject>,
): void {
  describe(`${name} as a secret resolver`, () => {
    for (const check of resolverChecks) {
      // oxlint-disable-next-line vitest/expect-expect, vitest/valid-title -- a check is both
      test(check.name, async () => {
        const subject = await setUp()
        try {
          await check.run(subject)
        } finally {
          await subject.module.close?.()
        }
      })
    }
  })
}
