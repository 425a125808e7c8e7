import { describe, expect, test } from 'vitest'
import { OutputGate } from './output-gate.ts'
import { testMachine } from './testing/index.ts'
import type { Machine, StartedProcess } from './machine.ts'

/** A program on a terminal of 24 rows and 80 columns, beside a pid 1 that sleeps, and all that it shows. */
function onTerminal(...argv: string[]) {
  const { machine, clock } = testMachine()
  machine.start({
    argv: ['sleep', 'infinity'],
    env: new Map(),
    stdout: () => {},
    stderr: () => {},
  })
  const seen = { text: '' }
  const started = machine.exec({
    argv,
    env: new Map([['PATH', '/bin']]),
    terminal: { rows: 24, columns: 80 },
    stdout: (bytes) => {
      seen.text += Buffer.from(bytes).toString()
    },
    stderr: () => expect.unreachable('a terminal has one output'),
  })
  const ends: number[] = []
  machine.onExit(started.pid, ({ exitCode }) => ends.push(exitCode))
  const settle = (): void => {
    while (machine.step() === 'ready');
  }
  const type = (text: string): void => {
    started.stdin?.write(Buffer.from(text))
    settle()
  }
  settle()
  return { machine, clock, started, seen, ends, settle, type }
}

const textOf = (machine: Machine): readonly string[] =>
  machine.processes().map(({ argv }) => argv.join(' '))

describe('a program on a terminal', () => {
  test('SH10: writes lines that end with \\r\\n, to one output', () => {
    const { seen, ends } = onTerminal('sh', '-c', 'echo out; echo err >&2')

    expect(seen.text).toBe('out\r\nerr\r\n')
    expect(ends).toEqual([0])
  })

  test('SH10: knows that it is on one, and how large it is', () => {
    const script = '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty && stty size'
    expect(onTerminal('sh', '-c', script).seen.text).toBe('/dev/pts/0\r\n24 80\r\n')
  })

  test('SH10: reads what is typed line by line, echoed and edited', () => {
    const { type, seen, ends } = onTerminal('cat')

    type('hellx\x7fo')
    expect(seen.text).toBe('hellx\b \bo')

    type('\r')
    expect(seen.text).toBe('hellx\b \bo\r\nhello\r\n')

    type('gone\x15kept\n')
    expect(seen.text.endsWith('kept\r\nkept\r\n')).toBe(true)

    type('one two\x17\n\x04')
    expect(seen.text.endsWith('\r\none \r\n')).toBe(true)
    expect(ends).toEqual([0])
  })

  test('SH10: erases characters, not bytes', () => {
    const { type, seen } = onTerminal('cat')

    type('aé\x7fb\n')

    expect(seen.text.endsWith('\r\nab\r\n')).toBe(true)
  })

  test('SH10: gets ^C as a signal, ^D as the end of its input', () => {
    const interrupted = onTerminal('sh', '-c', 'sleep infinity; echo not reached')
    interrupted.type('\x03')
    expect(interrupted.ends).toEqual([130])
    expect(interrupted.seen.text).toBe('^C')
    expect(textOf(interrupted.machine)).toEqual(['sleep infinity'])

    const ended = onTerminal('cat')
    ended.type('no newline\x04\x04')
    expect(ended.ends).toEqual([0])
    expect(ended.seen.text).toBe('no newlineno newline')
  })

  test('SH10: is shown nothing of what is typed after stty -echo', () => {
    const { type, seen } = onTerminal('sh', '-c', 'stty -echo; read line; echo "[$line]"')

    type('hidden\n')

    expect(seen.text).toBe('[hidden]\r\n')
  })

  test('SH10: gets every key at once after stty raw', () => {
    const { type, seen } = onTerminal('sh', '-c', 'stty raw -echo; head -c 2 | od -An -tx1')

    type('\x03\x7f')

    expect(seen.text.trim()).toBe('03 7f')
  })

  test('SH10: hears that the terminal has another size', () => {
    const { started, settle, seen, clock, ends } = onTerminal(
      'sh',
      '-c',
      'trap "stty size; exit 0" WINCH; while :; do sleep 1; done',
    )
    const { resize } = started as Required<StartedProcess>

    resize({ rows: 50, columns: 132 })
    clock.advance(1000)
    settle()

    expect(seen.text).toBe('50 132\r\n')
    expect(ends).toEqual([0])
  })
})

describe('a shell on a terminal', () => {
  test('SH11: prompts, and outlives faults and ^C until its input ends', () => {
    const { type, seen, ends } = onTerminal('sh')
    expect(seen.text).toBe('/ # ')

    type('echo $((1 +\n')
    type('1))\n')
    expect(seen.text).toBe('/ # echo $((1 +\r\n> 1))\r\n2\r\n/ # ')

    type('echo ${nothing:?is missing}\n')
    expect(seen.text).toContain('is missing')
    type('sleep infinity\n')
    type('\x03')
    expect(ends).toEqual([])
    type('echo $?; while :; do sleep 1; done\n')
    type('\x03')
    type('half a line\x03')
    type('exit 7\n')

    expect(seen.text).toContain('\r\n130\r\n')
    expect(ends).toEqual([7])
  })

  test('SH11: ends with ^D', () => {
    const { type, ends } = onTerminal('sh')

    type('false\n')
    type('\x04')

    expect(ends).toEqual([1])
  })
})

test('SH12: whoever writes waits while its output is not wanted', () => {
  const { machine } = testMachine()
  const gate = new OutputGate()
  let sizeBytes = 0
  machine.start({
    argv: ['yes'],
    env: new Map(),
    gate,
    stdout: (bytes) => {
      sizeBytes += bytes.length
      if (sizeBytes > 100_000) gate.shut()
    },
    stderr: () => {},
  })

  while (machine.step() === 'ready');
  const stoppedAt = sizeBytes
  expect(stoppedAt).toBeLessThan(120_000)

  gate.open()
  machine.step()
  expect(sizeBytes).toBeGreaterThan(stoppedAt)
})

test('SH4: what cannot be run is known before it is', () => {
  const { machine } = testMachine()
  const env = new Map<string, string>()
  expect(machine.refusalOf({ argv: ['nosuchcmd'], env })).toEqual({
    isFound: false,
    status: 127,
    why: 'not found',
  })
  expect(machine.refusalOf({ argv: ['cat'], env })).toBeUndefined()
})
