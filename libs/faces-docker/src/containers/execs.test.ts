import { describe, expect, test } from 'vitest'
import type { Container } from './container.ts'
import { Execs, type ExecConfig } from './execs.ts'

const container = {} as Container
const size = { rows: 24, columns: 80 }

function configOf(argv: readonly string[]): ExecConfig {
  return {
    argv,
    env: {},
    user: '',
    workdir: '',
    isTty: false,
    stdin: false,
    stdout: true,
    stderr: true,
    isPrivileged: false,
    detachKeys: '',
  }
}

describe('what is remembered of execs', () => {
  test('is the newest thousand', () => {
    const execs = new Execs(idsFrom('exec'))
    for (let n = 0; n < 1025; n++) execs.create(container, configOf(['true']), size, 'dev')

    expect(() => execs.get('exec-0')).toThrow('No such exec instance: exec-0')
    expect(execs.get('exec-1').state).toBe('created')
  })

  test('is less where commands are long, but never one that runs', () => {
    const execs = new Execs(idsFrom('exec'))
    const long = 'x'.repeat(1024 * 1024)
    execs.create(container, configOf([long]), size, 'dev').state = 'running'
    for (let n = 0; n < 9; n++) execs.create(container, configOf([long]), size, 'dev')

    expect(execs.get('exec-0').state).toBe('running')
    expect(() => execs.get('exec-2')).toThrow('No such exec instance')
    expect(execs.get('exec-3').state).toBe('created')
  })

  test('is one at least, however long it is', () => {
    const execs = new Execs(idsFrom('exec'))
    execs.create(container, configOf(['true']), size, 'dev')
    execs.create(container, configOf(['x'.repeat(9 * 1024 * 1024)]), size, 'dev')

    expect(execs.get('exec-1').state).toBe('created')
  })
})

function idsFrom(name: string): () => string {
  let count = 0
  return () => `${name}-${count++}`
}
