import { canary, expectNoLeak } from '@conclave/testkit'
import type { Resolved } from '@conclave/resolver'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ModuleResolver, readModules, type ModuleResolverLimits } from './index.ts'

const file = new URL('testing/scripted.mjs', import.meta.url).pathname
const documentOf = (name: string, parameters: { key: string; value: string }[] = []): string =>
  JSON.stringify({ libraries: [{ file, modules: [{ name, parameters }] }] })

const opened: ModuleResolver[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((resolver) => resolver.close()))
})

async function start(
  name: string,
  limits: Partial<ModuleResolverLimits> = {},
): Promise<ModuleResolver> {
  const modules = await readModules(documentOf(name, [{ key: 'prefix', value: '>' }]), '/')
  const resolver = await ModuleResolver.start(modules, name, limits)
  opened.push(resolver)
  return resolver
}

const ask = (
  resolver: ModuleResolver,
  names: readonly string[],
  questionId = 'q',
): Promise<readonly Resolved[]> =>
  new Promise((answer) => {
    const secrets = names.map((name) => ({
      secret: { type: 'REFERENCE' as const, reference: { name } },
      purpose: `env ${name}`,
    }))
    const task = { frameworkId: 'f', taskId: 't', containerId: 'c' }
    resolver.ask({ questionId, ...task, secrets }, answer)
  })

const textOf = (one: Resolved | undefined): string | undefined =>
  one?.outcome === 'value' ? Buffer.from(one.bytes.reveal()).toString() : undefined

const brief = { timeoutMs: 300, silenceMs: 100 }

describe('a resolver module', () => {
  test('RM1: is made with its parameters and answers each secret in its place', async () => {
    const resolver = await start('good')

    const resolved = await ask(resolver, ['a/b', 'none', 'c'])

    expect(resolved.map(textOf)).toEqual(['>a/b/', undefined, '>c/'])
    expect(resolved[1]).toEqual({
      outcome: 'not-found',
      why: "Secret resolver 'good' says: nothing of that name (secret 'none')",
    })
  })

  test.each([
    ['hangs', 'unavailable', 'did not answer within 0.3 seconds'],
    ['spins', 'unavailable', 'did not answer within 0.3 seconds'],
    ['exits', 'unavailable', 'ended without an answer'],
    ['throwsLater', 'unavailable', 'ended without an answer'],
    ['rejectsElsewhere', 'unavailable', 'ended without an answer'],
    ['answersText', 'invalid', 'says: it answered with data of type string, where bytes are due'],
    ['answersNothing', 'invalid', 'says: it answered without data, where bytes are due'],
    ['answersTooMuch', 'invalid', 'says: its value has 1048577 bytes; the limit is 1048576'],
    ['throwsText', 'invalid', 'says: it failed (string)'],
    ['throwsValue', 'invalid', 'says: it failed (TypeError)'],
  ])(
    'RM2 RM3: that %s is an answer (%s), and the next question is answered',
    async (name, outcome, why) => {
      const resolver = await start(name, brief)

      const [resolved] = await ask(resolver, ['bad'])

      expect(resolved).toEqual({
        outcome,
        why: `Secret resolver '${name}' ${why} (secret 'bad')`,
      })
      await vi.waitUntil(async () => textOf((await ask(resolver, ['good']))[0]) === 'good/')
    },
  )

  test('RM4: sees nothing of the environment of its agent', async () => {
    process.env['CONCLAVE_TEST_TOKEN'] = 'not for guests'
    const resolver = await start('looksAround')

    const [resolved] = await ask(resolver, ['env'])

    expect(textOf(resolved)).toBe('{}')
  })

  test('RM4: what it prints and throws is nowhere', async () => {
    const planted = canary('printed')
    const printed: unknown[] = []
    const spies = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation((chunk) => printed.push(chunk) > 0),
    )
    try {
      const [prints] = await ask(await start('prints'), [planted.text])
      expect(textOf(prints)).toBe(`${planted.text}/`)
      const throwing = await start('throwsValue')
      const [thrown] = await ask(throwing, ['other'])
      expectNoLeak({ printed, thrown }, [planted])
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  })

  test('RM5: what is abandoned is answered once, and not with a value', async () => {
    const resolver = await start('hangs')
    const waiting = ask(resolver, ['bad', 'worse'], 'q1')
    await ask(resolver, ['good'], 'q2')

    resolver.abandon('q1')

    expect((await waiting).map(({ outcome }) => outcome)).toEqual(['unavailable', 'unavailable'])
  })

  test('RM6: of questions under way there is a bounded number', async () => {
    const resolver = await start('hangs', { pendingMax: 2 })
    const waiting = ask(resolver, ['a', 'b'], 'q1')
    await ask(resolver, [], 'q2')

    const [refused] = await ask(resolver, ['c'], 'q3')

    expect(refused).toMatchObject({ outcome: 'unavailable' })
    resolver.abandon('q1')
    await waiting
  })
})

describe('RM7: a module that cannot be had keeps its agent from starting', () => {
  const twice = 'Failed to initialize secret resolver: Failed to initialize secret resolver: '

  test.each([
    [
      'noFactory',
      "Error verifying module 'noFactory': the library exports no function of that name, and none as default",
    ],
    ['noResolver', "Error verifying module 'noResolver': what it made has no function 'resolve'"],
    ['failsAtOnce', "Error loading module 'failsAtOnce': it failed"],
    [
      'absent',
      "Error verifying module 'absent': the library exports no function of that name, and none as default",
    ],
  ])('%s', async (name, why) => {
    await expect(start(name)).rejects.toThrow(twice + why)
  })

  test('a name that no document has', async () => {
    const modules = await readModules(documentOf('good'), '/')
    await expect(ModuleResolver.start(modules, 'org_example')).rejects.toThrow(
      `${twice}Module 'org_example' unknown`,
    )
  })

  test('a file that is not there', async () => {
    const text = JSON.stringify({ libraries: [{ file: '/no/such.ts', modules: [{ name: 'm' }] }] })
    const modules = await readModules(text, '/')
    await expect(ModuleResolver.start(modules, 'm')).rejects.toThrow(
      `${twice}Error opening library: '/no/such.ts': ERR_MODULE_NOT_FOUND`,
    )
  })
})
