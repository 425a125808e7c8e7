import { box, boxContext } from '@conclave/crypto'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import type { Resolution, Secret } from '@conclave/model'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { ComposedResolver } from './compose.ts'
import { refusalIn, type Resolved } from './resolver.ts'
import { StoreResolver, type StoreQuestion } from './store-resolver.ts'
import { MemoryResolver } from './testing/index.ts'
import { ValueResolver } from './value-resolver.ts'

const task = { frameworkId: 'f', taskId: 't', containerId: 'c' }
const reference = (name: string, key?: string): Secret => ({
  type: 'REFERENCE',
  reference: { name, key },
})
const inline = (text: string): Secret => ({
  type: 'VALUE',
  value: { data: new Redacted(utf8(text)) },
})
const wanted = (...secrets: Secret[]) =>
  secrets.map((secret, index) => ({ secret, purpose: `env V${index}` }))
const shown = (resolved: readonly Resolved[]) =>
  resolved.map((one) => (one.outcome === 'value' ? utf8Text(one.bytes.reveal()) : one.why))

function storeOf() {
  const random = new SeededRandom(7)
  const questions: StoreQuestion[] = []
  const resolver = new StoreResolver({ random, ask: (question) => questions.push(question) })
  const boxed = (
    path: string,
    text: string,
    change: Partial<typeof task & { version: number }> = {},
    question = questions.at(-1),
  ) => {
    if (question === undefined) throw new Error('nothing was asked')
    const context = boxContext({ ...task, version: 3, ...change, path })
    const bytes = new Redacted(utf8(text))
    const sealed = box(Buffer.from(question.publicKey, 'base64'), bytes, context, random)
    return {
      outcome: 'value' as const,
      path,
      version: 3,
      sizeBytes: utf8(text).length,
      box: Buffer.from(sealed).toString('base64'),
    }
  }
  return { resolver, questions, boxed }
}

/** Asks, answers with `resolutions`, and says what came out. */
function ask(
  secret: Secret,
  resolutions: (boxed: ReturnType<typeof storeOf>['boxed']) => readonly Resolution[],
) {
  const { resolver, questions, boxed } = storeOf()
  const answers: (readonly Resolved[])[] = []
  resolver.resolve(task, wanted(secret), (resolved) => answers.push(resolved))
  resolver.answered(questions[0]?.requestId ?? '', resolutions(boxed))
  return answers.flatMap(shown)
}

const withSize = (sizeBytes: number) =>
  ask(reference('dev/db'), (boxed) => [{ ...boxed('dev/db', 'x'), sizeBytes }])

describe('without a store', () => {
  test('RS1: a value is its own bytes, as a copy that may be wiped', () => {
    const secret = inline('s3cr3t')
    new ValueResolver().resolve(task, wanted(secret), (resolved) => {
      expect(shown(resolved)).toEqual(['s3cr3t'])
      for (const one of resolved) if (one.outcome === 'value') one.bytes.reveal().fill(0)
    })

    expect(utf8Text(secret.value?.data?.reveal() ?? utf8(''))).toBe('s3cr3t')
  })

  test.each<[Secret, string]>([
    [reference('dev/db'), 'Default secret resolver cannot resolve references'],
    [
      { ...inline('x'), ...reference('dev/db') },
      'Default secret resolver cannot resolve references',
    ],
    [{ type: 'VALUE', value: {} }, 'Secret has no value'],
    [{}, 'Secret has no value'],
  ])('RS2: %j is refused in the words of Mesos', (secret, why) => {
    new ValueResolver().resolve(task, wanted(secret), (resolved) => {
      expect(resolved).toEqual([{ outcome: 'invalid', why }])
    })
  })
})

describe('through the store', () => {
  test('RS3: what was asked for is opened, with its path and version', () => {
    const { resolver, questions, boxed } = storeOf()
    const answers: (readonly Resolved[])[] = []

    resolver.resolve(task, wanted(reference('/dev/db')), (resolved) => answers.push(resolved))
    resolver.answered(questions[0]?.requestId ?? '', [boxed('dev/db', 's3cr3t')])

    expect(answers).toHaveLength(1)
    expect(answers[0]).toMatchObject([{ outcome: 'value', path: 'dev/db', version: 3 }])
    expect(answers.flatMap(shown)).toEqual(['s3cr3t'])
  })

  test('RS3: a key selects within the secret: the path stays the name', () => {
    expect(ask(reference('dev/db', 'password'), (boxed) => [boxed('dev/db', 'x')])).toEqual(['x'])
    expect(ask(reference('dev/db', 'b'), (boxed) => [boxed('dev/db/b', 'x')])).toEqual([
      'the master answered for another secret',
    ])
  })

  test('RS3: a sealed value is asked for by the id of its envelope', () => {
    const secret: Secret = { type: 'VALUE', value: { sealed: { id: 'e1', envelope: 'AAAA' } } }

    expect(ask(secret, (boxed) => [boxed('inline/e1', 'x')])).toEqual(['x'])
    expect(ask(secret, (boxed) => [boxed('inline/e2', 'x')])).toEqual([
      'the master answered for another secret',
    ])
  })

  test('RS4: a box opens for its own task, container, path and version alone', () => {
    const stays = ['the box of dev/db does not open for this container']
    for (const change of [{ taskId: 'u' }, { containerId: 'd' }, { version: 4 }]) {
      expect(ask(reference('dev/db'), (boxed) => [boxed('dev/db', 'x', change)])).toEqual(stays)
    }
  })

  test.each(['dev/other', 'dev/db/password', 'dev', ''])(
    'RS4: an answer for %j is not one for dev/db',
    (path) => {
      expect(ask(reference('dev/db'), (boxed) => [boxed(path, 'x')])).toEqual([
        'the master answered for another secret',
      ])
    },
  )

  test('RS4: a size that is not true, or above the limit, is refused', () => {
    expect(withSize(2)).toEqual(['the box of dev/db does not open for this container'])
    expect(withSize(1_048_576)).toEqual(['the box of dev/db does not open for this container'])
    expect(withSize(1_048_577)).toEqual(['the secret has 1048577 bytes; the limit is 1048576'])
  })

  test('RS5: more or fewer answers than questions are none', () => {
    expect(ask(reference('dev/db'), () => [])).toEqual(['the master answered 0 of 1 secrets'])
  })

  test('RS5: a refusal comes through with its reason', () => {
    const { resolver, questions } = storeOf()
    let refusal: unknown
    resolver.resolve(task, wanted(reference('dev/db')), (resolved) => {
      refusal = refusalIn(resolved)
    })
    resolver.answered(questions[0]?.requestId ?? '', [{ outcome: 'denied', why: 'no grant' }])

    expect(refusal).toEqual({ outcome: 'denied', why: 'no grant' })
  })

  test('RS6: a question is answered once, and an abandoned one never', () => {
    const { resolver, questions, boxed } = storeOf()
    let answers = 0
    resolver.resolve(task, wanted(reference('dev/db')), () => answers++)
    const abandon = resolver.resolve(task, wanted(reference('dev/db')), () => answers++)
    abandon()
    for (const { requestId } of [...questions, ...questions]) {
      resolver.answered(requestId, [boxed('dev/db', 'x')])
    }

    expect(answers).toBe(1)
  })

  test('RS6: what has no answer is asked again, with the same key', () => {
    const { resolver, questions } = storeOf()
    resolver.resolve(task, wanted(reference('dev/db')), () => {})
    resolver.askAgain()

    expect(questions[1]).toEqual(questions[0])
  })

  test('RS8: many secrets are asked for in questions of a bearable size, and answered together', () => {
    const { resolver, questions, boxed } = storeOf()
    const names = Array.from({ length: 9 }, (_, index) => `dev/${index}`)
    const answers: (readonly Resolved[])[] = []
    resolver.resolve(task, wanted(...names.map((name) => reference(name))), (resolved) =>
      answers.push(resolved),
    )
    expect(questions.map(({ secrets }) => secrets.length)).toEqual([4, 4, 1])

    for (const question of questions.toReversed()) {
      expect(answers).toEqual([])
      const resolutions = question.secrets.map(({ secret }) => {
        const name = secret.reference?.name ?? ''
        return boxed(name, `value of ${name}`, {}, question)
      })
      resolver.answered(question.requestId, resolutions)
    }

    expect(answers.flatMap(shown)).toEqual(names.map((name) => `value of ${name}`))
  })

  test('RS8: abandoned half-way, nothing is answered', () => {
    const { resolver, questions, boxed } = storeOf()
    const secrets = Array.from({ length: 5 }, () => reference('dev/db'))
    let answers = 0
    const abandon = resolver.resolve(task, wanted(...secrets), () => answers++)
    const last = questions[1]
    resolver.answered(last?.requestId ?? '', [boxed('dev/db', 'x', {}, last)])
    abandon()
    resolver.answered(questions[0]?.requestId ?? '', [])

    expect(answers).toBe(0)
  })

  test('RS6: no two questions share a key or an id', () => {
    const { resolver, questions } = storeOf()
    for (let count = 0; count < 3; count++) resolver.resolve(task, wanted(reference('a')), () => {})

    expect(new Set(questions.map(({ publicKey }) => publicKey)).size).toBe(3)
    expect(new Set(questions.map(({ requestId }) => requestId)).size).toBe(3)
  })
})

describe('both together', () => {
  test('RS7: each secret goes to its own resolver, and the answers keep the order', () => {
    const store = new MemoryResolver()
    store.values.set('dev/a', utf8('a'))
    const both = new ComposedResolver({ value: new ValueResolver(), store })
    const answers: (readonly Resolved[])[] = []

    both.resolve(task, wanted(inline('1'), reference('dev/a'), inline('2')), (resolved) =>
      answers.push(resolved),
    )
    expect(answers).toEqual([])
    store.answer()

    expect(answers.flatMap(shown)).toEqual(['1', 'a', '2'])
  })

  test('RS7: nothing is asked for nothing', () => {
    const store = new MemoryResolver()
    const both = new ComposedResolver({ value: new ValueResolver(), store })
    let answers = 0
    both.resolve(task, [], () => answers++)

    expect([answers, store.waiting]).toEqual([1, 0])
  })

  test('RS7: abandoned, it answers no more', () => {
    const store = new MemoryResolver()
    const both = new ComposedResolver({ value: new ValueResolver(), store })
    let answers = 0
    both.resolve(task, wanted(inline('1'), reference('dev/a')), () => answers++)()
    store.answer()

    expect(answers).toBe(0)
  })
})
