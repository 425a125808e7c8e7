import { describe, expect, test } from 'vitest'
import { runScript } from '../testing/index.ts'

const outputOf = (script: string): string => runScript(script).stdout

describe('what POSIX does not have, and scripts use all the same', () => {
  test.each([
    ['pipefail', 'set -o pipefail; false | true; echo $?; true | true; echo $?', '1\n0\n'],
    ['set -euo pipefail', 'set -euo pipefail; echo a; false | true; echo never', 'a\n'],
    ['here-strings', 'x="a b"; cat <<< "$x c"; read y <<< z; echo $y', 'a b c\nz\n'],
    [
      'both streams to a file',
      '{ echo a; echo b >&2; } &> f; cat f; echo c &>> f; cat f',
      'a\nb\na\nb\nc\n',
    ],
    ['both streams into a pipe', '{ echo a; echo b >&2; } |& sort -r', 'b\na\n'],
    [
      'replacing',
      'x=banana; echo ${x/an/_} ${x//an/_} ${x/#b/B} ${x/%a/A} ${x//a}',
      'b_ana b__a Banana bananA bnn\n',
    ],
    ['replacing by a pattern', 'x=a1b22; echo ${x//[0-9]/#}', 'a#b##\n'],
    ['slices', 'x=hello; echo ${x:0:2} ${x:1} ${x: -3} ${x:1:-1} ${x:9}.', 'he ello llo ell .\n'],
    ['slices of parameters', 'set -- a b c d; echo ${@:2} "${@:2:2}"', 'b c d b c\n'],
    ['case changes', 'x=aBc; echo ${x^} ${x^^} ${x,,} ${x,}', 'ABc ABC abc aBc\n'],
    ['indirect names', 'a=b; b=c; echo ${!a}', 'c\n'],
    [
      '[[ with patterns',
      '[[ abc == a* ]] && echo a; [[ abc == "a*" ]] || echo b; [[ -z "" && x < y ]] && echo c',
      'a\nb\nc\n',
    ],
    ['[[ with a regular expression', '[[ ab12 =~ ^[a-z]+[0-9]+$ ]] && echo yes', 'yes\n'],
    ['((', '((1 > 0)) && echo a; ((0)) || echo b; ((x = 3)); echo $x', 'a\nb\n3\n'],
    ['arithmetic for', 'for ((i = 0; i < 3; i++)); do echo $i; done', '0\n1\n2\n'],
    [
      '++ and **',
      'i=5; echo $((i++)) $((++i)) $((i--)) $((2 ** 10)) $((16#ff))',
      '5 7 7 1024 255\n',
    ],
    ['+=', 'x=a; x+=b; echo $x', 'ab\n'],
    ['let', 'let x=2+3 "y = x * 2"; echo $x $y; let 0; echo $?', '5 10\n1\n'],
    ['ANSI quotes', String.raw`echo $'a\tb\x41\u00e9'`, 'a\tbAé\n'],
    ['source', 'echo "echo in" > f; source ./f', 'in\n'],
    ['function', 'function f { echo $1; }; f x', 'x\n'],
    ['fall-through', 'case a in a) echo 1;& b) echo 2;; c) echo 3;; esac', '1\n2\n'],
    ['the line number', 'echo $LINENO\necho $LINENO', '1\n2\n'],
    ['a substitution that is a file', 'echo hi > f; echo "[$(< f)]"', '[hi]\n'],
    ['read -n and -d', 'printf abcdef | { read -n 3 x; read -d e y; echo $x $y; }', 'abc d\n'],
    ['read without a name', 'echo a b | { read; echo "$REPLY"; }', 'a b\n'],
  ])('%s', (_, script, stdout) => {
    expect(outputOf(script)).toBe(stdout)
  })

  test('read -t gives up', () => {
    expect(outputOf('sleep 100 | { read -t 2 x; echo $?; }')).toBe('142\n')
  })

  test.each([
    'a=(1 2)',
    'echo <(ls)',
    'coproc x { :; }',
    'select x in a; do :; done',
    'echo ${a[0]}',
  ])('%s is refused as a whole, with exit code 2', (script) => {
    const { exitCode, stdout, stderr } = runScript(`echo before; ${script}`)

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(/^sh: 1: Syntax error: /)
  })
})

describe('SH4: a syntax error', () => {
  test.each([
    ['echo "a', 'Unterminated quoted string'],
    ['fi', '"fi" unexpected'],
    ['echo a; )', '")" unexpected'],
    ['if true; then echo', 'end of file unexpected (expecting "fi")'],
    ['while true', 'end of file unexpected (expecting "do")'],
  ])('%s is said in the words of shells, with exit code 2', (script, message) => {
    const { exitCode, stderr } = runScript(script)

    expect(exitCode).toBe(2)
    expect(stderr).toBe(`sh: 1: Syntax error: ${message}\n`)
  })

  test('names its line, and comes once the lines before have run', () => {
    const { exitCode, stdout, stderr } = runScript('echo a\necho b\nfi\necho never')

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: 'a\nb\n' })
    expect(stderr).toBe('sh: 3: Syntax error: "fi" unexpected\n')
  })
})

describe('messages', () => {
  test.each([
    ['\necho ${x?gone}', 'sh: 2: x: gone\n'],
    ['set -u; echo $x', 'sh: 1: x: parameter not set\n'],
    ['echo $((1/0))', 'sh: 1: arithmetic expression: division by zero\n'],
    ['cat < nosuch', 'sh: 1: nosuch: No such file or directory\n'],
    ['cd nosuch', "sh: 1: cd: can't cd to nosuch\n"],
    ['readonly x; x=1', 'sh: 1: x: is read only\n'],
    ['shift 5', "sh: 1: can't shift that many\n"],
    ['trap x NOSUCH', 'sh: 1: trap: NOSUCH: bad trap\n'],
  ])('%j says what is wrong, and where', (script, stderr) => {
    expect(runScript(script).stderr).toBe(stderr)
  })

  test('of set -x show what runs', () => {
    const { stderr } = runScript(`set -x; x='a b'; echo "$x" c; PS4='> '; :`)

    expect(stderr).toBe("+ x=a b\n+ echo 'a b' c\n+ PS4=> \n> :\n")
  })

  test('go nowhere when standard error is closed', () => {
    expect(runScript('exec 2>&-; nosuch; echo $?')).toMatchObject({ stdout: '127\n', exitCode: 0 })
  })
})

describe('jobs', () => {
  test('are listed with their state', () => {
    const script = 'sleep 5 & (exit 3) & sleep 1; jobs; jobs; wait; jobs'

    expect(outputOf(script)).toBe(
      [
        '[1] - Running                    sleep 5',
        '[2] + Done(3)                    (exit 3)',
        '[1] + Running                    sleep 5',
        '',
      ].join('\n'),
    )
  })

  test('are signalled by their number', () => {
    expect(outputOf('sleep 5 & kill %1; wait $!; echo $?')).toBe('143\n')
  })

  test('are brought back by fg', () => {
    expect(outputOf('(sleep 1; exit 4) & fg; echo $?')).toBe('(sleep 1; exit 4)\n4\n')
  })

  test('run at the same time', () => {
    const script = 'for i in 3 1 2; do { sleep $i; echo $i; } & done; wait; echo all'

    expect(outputOf(script)).toBe('1\n2\n3\nall\n')
  })
})

describe('SH4: the writer of a pipe that nobody reads', () => {
  test('dies of SIGPIPE, silently', () => {
    const script = 'set -o pipefail; while :; do echo y; done | head -n 1; echo $?'

    expect(runScript(script)).toEqual({ stdout: 'y\n141\n', stderr: '', exitCode: 0 })
  })

  test('is told so when it ignores SIGPIPE', () => {
    const script = `trap '' PIPE; { sleep 1; echo a; echo "status $?" >&2; } | true`

    expect(runScript(script).stderr).toContain('status 1')
  })

  test('waits when the reader is slow', () => {
    expect(outputOf('seq 1 30000 | { sleep 1; tail -n 1; }')).toBe('30000\n')
  })
})
