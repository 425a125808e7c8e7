import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Exit } from '../machine.ts'
import { record, testMachine } from '../testing/index.ts'

// For a machine that is busy with other things.
const timeout = 120_000

// Long enough for most of them to end, short enough for those that spin or sleep for ever.
const stepsMax = 40

// 134 is how the kernel ends a program over a fault that the shell itself should have reported.
const hasEndedWell = (exit: Exit | undefined): boolean =>
  exit !== undefined && exit.exitCode !== 134

/** Runs a script for a while, kills it, and answers how it ended. */
function runForAWhile(script: string, stdin?: string): Exit | undefined {
  const { machine, clock } = testMachine({ limits: { processes: 16 } })
  const argv = stdin === undefined ? ['sh', '-c', script] : ['sh', '-s', 'a', 'b']
  const shell = record(machine, argv, stdin === undefined ? {} : { stdin })
  for (let steps = 0; steps < stepsMax; steps++) {
    const state = machine.step(200)
    if (state === 'ended') break
    if (state === 'idle') clock.advance(1000)
  }
  machine.signal(1, 'KILL')
  return machine.state === 'ended' ? shell.exit : undefined
}

const fragments = [
  'echo a',
  'x=1',
  'x=$x$x',
  '$x',
  '"$x"',
  '${x',
  '}',
  '${x:-',
  '${x#*',
  '${x//a/',
  '$(',
  ')',
  '`',
  '(',
  '((',
  '))',
  '$((',
  '1+',
  '{ ',
  ' }',
  'if ',
  'then ',
  'else ',
  'fi',
  'for i in ',
  'for i',
  'do ',
  'done',
  'while ',
  'until ',
  'case a in ',
  'a) ',
  ';;',
  'esac',
  '&&',
  '||',
  '|',
  '|&',
  '&',
  ';',
  '\n',
  '!',
  '[ ',
  ']',
  '[[ ',
  ' ]]',
  'f() ',
  'f',
  'return 3',
  'break',
  'continue',
  'exit',
  'exit 2',
  'trap "echo t" EXIT',
  "trap '' TERM",
  'kill -TERM $$',
  'kill -STOP $$',
  'eval ',
  'exec ',
  'exec 3>f',
  '. ./f',
  'shift',
  'set -- a b',
  'set -e',
  'set -u',
  'set -x',
  'set -f',
  'read x',
  'wait',
  'sleep 1',
  'cd /',
  'unset x',
  'export x',
  'readonly x',
  'local x',
  'getopts ab: o',
  'alias a=b',
  'a ',
  '> f',
  '< f',
  '>> f',
  '2>&1',
  '>&-',
  '<&3',
  '<<E\n',
  'E\n',
  '<<-E\n',
  '<<< a',
  '&> f',
  '<> f',
  '"',
  "'",
  '\\',
  '#',
  '*',
  '?',
  '[a-',
  '~',
  '$@',
  '"$@"',
  '$*',
  '$?',
  '$!',
  '$-',
  '$#',
  '${#x}',
  '${!x}',
  '${x:1:2}',
  '${x^^}',
  "$'\\x41'",
  '\0',
  '\u00e9',
  'printf "%s%d" a b',
  'test -f f',
  'command -v a',
  'type a',
  'jobs',
  'fg',
  'bg',
  'hash',
  'umask 077',
  'times',
  'let x=1',
  'x=(1)',
  '<(a)',
  'cat',
  'IFS=: ',
  'a=b ',
  'a\\\nb',
  'select x in a',
  'function g ',
  'time ',
  'coproc ',
] as const

const script = fc
  .array(fc.tuple(fc.constantFrom(...fragments), fc.constantFrom('', ' ', '\n', ';')), {
    maxLength: 24,
  })
  .map((pieces) => pieces.map(([fragment, separator]) => fragment + separator).join(''))

test('SH5: no piece of shell throws out of a step', { timeout }, () => {
  fc.assert(
    fc.property(script, (text) => {
      expect(runForAWhile(text)).toSatisfy(hasEndedWell)
    }),
    { numRuns: 2000 },
  )
})

test('SH5: no piece of shell on standard input throws out of a step', { timeout }, () => {
  fc.assert(
    fc.property(script, (text) => {
      expect(runForAWhile('', text)).toSatisfy(hasEndedWell)
    }),
    { numRuns: 500 },
  )
})

test('SH5: no bytes throw out of a step', { timeout }, () => {
  const bytes = fc.string({ unit: 'binary', maxLength: 200 })
  fc.assert(
    fc.property(bytes, (text) => {
      expect(runForAWhile(text)).toSatisfy(hasEndedWell)
    }),
    { numRuns: 500 },
  )
})

test('SH5: no arithmetic throws out of a step', { timeout }, () => {
  const pieces = fc.array(
    fc.constantFrom(
      '1',
      '0',
      '-',
      '+',
      '*',
      '/',
      '%',
      '(',
      ')',
      '?',
      ':',
      'x',
      '=',
      '<<',
      '>>',
      '**',
      '&&',
      '||',
      ',',
      '!',
      '~',
      '0x',
      '08',
      '9223372036854775807',
      '++',
      '--',
      '#',
      '$x',
      ' ',
    ),
    { maxLength: 16 },
  )
  fc.assert(
    fc.property(pieces, (text) => {
      expect(runForAWhile(`x=3; echo $((${text.join('')}))`)).toSatisfy(hasEndedWell)
    }),
    { numRuns: 500 },
  )
})
