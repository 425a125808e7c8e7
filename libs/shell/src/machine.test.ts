import { ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { Machine, MachineNotRunning, TooManyProcesses, type Exit } from './machine.ts'
import { MemoryFileSystem, record, runScript, runToEnd, testMachine } from './testing/index.ts'

const spinning = 'while :; do :; done'

test('the example of the README does what it says', () => {
  const clock = new ManualClock()
  const fs = new MemoryFileSystem(clock)
  const random = new SeededRandom(1)
  const output: Uint8Array[] = []
  const exits: Exit[] = []

  const machine = new Machine({ fs, clock, random, hostname: 'web-1' })
  const { pid } = machine.start({
    argv: ['sh', '-c', 'echo "$GREETING" | tr a-z A-Z; exit 3'],
    env: new Map([['GREETING', 'hello']]),
    stdout: (bytes) => output.push(bytes),
    stderr: (bytes) => output.push(bytes),
  })
  machine.onExit(pid, (exit) => exits.push(exit))
  while (machine.step() === 'ready');

  expect(Buffer.concat(output).toString()).toBe('HELLO\n')
  expect(exits).toEqual([{ exitCode: 3 }])
})

describe('the output of a machine', () => {
  test('SH6: arrives while the program runs, write by write', () => {
    const { machine, clock } = testMachine()
    const shell = record(machine, ['sh', '-c', 'echo one; sleep 10; echo two'])

    while (machine.step() === 'ready');
    expect(shell.out).toBe('one\n')

    clock.advance(10_000)
    while (machine.step() === 'ready');
    expect(shell.out).toBe('one\ntwo\n')
  })

  test('SH6: keeps the order of both streams when they go to one place', () => {
    const { machine } = testMachine()
    const seen: string[] = []
    const take = (bytes: Uint8Array): void => {
      seen.push(Buffer.from(bytes).toString().trim())
    }
    machine.start({
      argv: ['sh', '-c', 'echo a; echo b >&2; echo c'],
      env: new Map(),
      stdout: take,
      stderr: take,
    })

    while (machine.step() === 'ready');

    expect(seen).toEqual(['a', 'b', 'c'])
  })

  test('SH6: carries any bytes', () => {
    const { machine } = testMachine()
    const chunks: Uint8Array[] = []
    const stdout = (bytes: Uint8Array): void => {
      chunks.push(bytes)
    }
    machine.start({
      argv: ['sh', '-c', String.raw`printf '\000\377\200'`],
      env: new Map(),
      stdout,
      stderr: stdout,
    })

    while (machine.step() === 'ready');

    expect(Buffer.concat(chunks).toString('hex')).toBe('00ff80')
  })
})

describe('standard input', () => {
  test('is read as it is written', () => {
    const { machine } = testMachine()
    const seen: string[] = []
    const stdout = (bytes: Uint8Array): void => {
      seen.push(Buffer.from(bytes).toString())
    }
    const { stdin } = machine.start({
      argv: ['sh', '-c', 'while read x; do echo "<$x>"; done; echo end'],
      env: new Map(),
      stdin: true,
      stdout,
      stderr: stdout,
    })

    expect(machine.step()).toBe('idle')
    stdin?.write(Buffer.from('a\nb'))
    while (machine.step() === 'ready');
    expect(seen).toEqual(['<a>\n'])

    stdin?.write(Buffer.from('c\n'))
    stdin?.end()
    while (machine.step() === 'ready');
    expect(seen.join('')).toBe('<a>\n<bc>\nend\n')
  })

  test('leaves what a shell need not read to its commands', () => {
    const made = testMachine()
    const shell = record(made.machine, ['sh'], { stdin: 'read x\nhello\necho "[$x]"\n' })

    runToEnd(made)

    expect(shell.out).toBe('[hello]\n')
  })

  test('is empty for whoever was given none', () => {
    expect(runScript('read x; echo $?').stdout).toBe('1\n')
  })
})

describe('the end of a machine', () => {
  test('SH3: comes with pid 1 and takes everybody along', () => {
    const { machine } = testMachine()
    record(machine, ['sh', '-c', `${spinning} & sleep 1000 & exit 3`])

    while (machine.step() !== 'ended');

    expect(machine.processes()).toEqual([])
  })

  test('SH3: is exit code 137 for SIGKILL, which nothing can catch', () => {
    const { machine } = testMachine()
    const shell = record(machine, ['sh', '-c', `trap 'echo no' KILL TERM; ${spinning}`])
    machine.step(100)

    machine.signal(1, 'KILL')

    expect(machine.state).toBe('ended')
    expect(shell.exit).toEqual({ exitCode: 137, signal: 'KILL' })
    expect(shell.out).toBe('')
  })

  test('SH4: is exit code 143 for SIGTERM without a trap', () => {
    const { machine } = testMachine()
    const shell = record(machine, ['sleep', '1000'])
    machine.step()

    machine.signal(1, 'SIGTERM')

    expect(shell.exit).toEqual({ exitCode: 143, signal: 'TERM' })
  })

  test('SH3: lets a TERM trap have its say between two turns of a spinning loop', () => {
    const { machine } = testMachine()
    const shell = record(machine, ['sh', '-c', `trap 'echo bye; exit 5' TERM; ${spinning}`])
    machine.step(1000)

    machine.signal(1, 'TERM')
    while (machine.step() !== 'ended');

    expect(shell.out).toBe('bye\n')
    expect(shell.exit).toEqual({ exitCode: 5 })
  })

  test('SH3: lets a TERM trap interrupt `wait`', () => {
    const { machine } = testMachine()
    const shell = record(machine, ['sh', '-c', `trap 'echo bye; exit 6' TERM; sleep 1000 & wait`])
    while (machine.step() === 'ready');

    machine.signal(1, 'TERM')
    while (machine.step() === 'ready');

    expect(shell.out).toBe('bye\n')
    expect(shell.exit).toEqual({ exitCode: 6 })
  })

  test('is told to whoever asks late', () => {
    const made = testMachine()
    record(made.machine, ['sh', '-c', 'exit 7'])
    runToEnd(made)

    let seen: unknown
    made.machine.onExit(1, (exit) => {
      seen = exit
    })

    expect(seen).toEqual({ exitCode: 7 })
  })

  test('SH7: zeroes the bytes of the environment', () => {
    const made = testMachine()
    const secret = new TextEncoder().encode('s3cr3t')
    const shell = record(made.machine, ['sh', '-c', 'echo $SECRET'], {
      env: new Map([['SECRET', secret]]),
    })

    runToEnd(made)

    expect(shell.out).toBe('s3cr3t\n')
    expect([...secret]).toEqual([0, 0, 0, 0, 0, 0])
  })
})

describe('stopped processes', () => {
  test('do nothing until SIGCONT', () => {
    const { machine } = testMachine()
    const shell = record(machine, ['sh', '-c', 'echo a; kill -STOP $$; echo b'])
    while (machine.step() === 'ready');
    expect(shell.out).toBe('a\n')

    machine.signal(1, 'CONT')
    while (machine.step() === 'ready');

    expect(shell.out).toBe('a\nb\n')
  })
})

describe('a program that is started beside pid 1', () => {
  test('sees the same files and has its own environment', () => {
    const { machine, fs } = testMachine()
    record(machine, ['sleep', '1000'])
    machine.step()

    const shell = record(machine, ['sh', '-c', 'echo $X > /tmp/f; exit 4'], {
      env: new Map([['X', 'y']]),
    })
    while (machine.step() === 'ready');

    expect(shell.exit).toEqual({ exitCode: 4 })
    expect(Buffer.from(fs.take('/tmp/f')).toString()).toBe('y\n')
    expect(machine.state).toBe('idle')
  })

  test('wakes an idle machine', () => {
    const { machine } = testMachine()
    record(machine, ['sleep', '1000'])
    machine.step()
    let isCalled = false
    machine.onReady(() => {
      isCalled = true
    })

    record(machine, ['true'])

    expect(isCalled).toBe(true)
  })

  test('cannot be started once pid 1 is gone', () => {
    const made = testMachine()
    record(made.machine, ['true'])
    runToEnd(made)

    expect(() => record(made.machine, ['true'])).toThrow()
    expect(() =>
      made.machine.exec({ argv: ['true'], env: new Map(), stdout: () => {}, stderr: () => {} }),
    ).toThrow(MachineNotRunning)
  })

  test('SH8: is refused when there are too many', () => {
    const { machine } = testMachine({ limits: { processes: 2 } })
    record(machine, ['sleep', '1000'])
    record(machine, ['sleep', '1000'])

    expect(() => record(machine, ['sleep', '1000'])).toThrow(TooManyProcesses)
  })
})

describe('SH7: the environment', () => {
  test('is exactly what was given', () => {
    const env = new Map([['A', '1']])

    expect(runScript('env', { env }).stdout).toBe('A=1\n')
  })

  test('does not hide the working directory behind an older PWD', () => {
    const env = new Map([['PWD', '/elsewhere']])

    expect(runScript('echo $PWD', { env, cwd: '/tmp' }).stdout).toBe('/tmp\n')
  })
})

describe('SH8: limits', () => {
  test.each([
    ['a fork bomb', 'f() { f | f & f; }; f', 2],
    ['recursion without an end', 'f() { f; }; f', 2],
    ['recursion of subshells', 'f() { (f); }; f', 2],
    ['a string that doubles', 'x=a; while :; do x=$x$x; done', 2],
    ['parameters that double', 'set -- a a; while :; do set -- "$@" "$@"; done', 2],
    [
      'many long variables',
      'x=$(printf %100000d 1); while :; do i=$((i+1)); eval "v$i=\\$x"; done',
      2,
    ],
    ['many functions', 'while :; do i=$((i+1)); eval "f$i() { echo a b c d; }"; done', 2],
    ['eval in eval', 'e="eval \\"\\$e\\""; eval "$e"', 2],
    ['a pattern of many directories', 'echo /*/../*/../*/../*/../*/../*/../*/../*', 2],
  ])('end %s', { timeout: 120_000 }, (_, script, exitCode) => {
    expect(runScript(script).exitCode).toBe(exitCode)
  })

  test('leave a machine usable after a fork bomb in a subshell', () => {
    const { stdout } = runScript('(f() { f | f; }; f) 2>/dev/null; wait; echo alive')

    expect(stdout).toBe('alive\n')
  })
})

describe('many machines', () => {
  test('SH2: a spinning machine keeps no neighbour from its end', () => {
    const spinners = [spinning, 'yes > /dev/null', 'yes | while read x; do :; done'].map(
      (script) => {
        const { machine } = testMachine()
        record(machine, ['sh', '-c', script])
        return machine
      },
    )
    const { machine } = testMachine()
    const neighbour = record(machine, ['sh', '-c', 'for i in 1 2 3; do echo $i; done'])

    for (let turn = 0; turn < 50 && neighbour.exit === undefined; turn++) {
      for (const spinner of spinners) expect(spinner.step(100)).toBe('ready')
      machine.step(100)
    }

    expect(neighbour.out).toBe('1\n2\n3\n')
    expect(neighbour.exit).toEqual({ exitCode: 0 })
  })

  test('SH2: a spinning process keeps no other process of its machine from its end', () => {
    const { stdout, exitCode } = runScript(
      `${spinning} & echo a | cat; kill -9 $!; wait $!; echo $?`,
    )

    expect(stdout).toBe('a\n137\n')
    expect(exitCode).toBe(0)
  })

  test('SH9: a thousand of them asleep are idle, and know when to wake', () => {
    const machines = Array.from({ length: 1000 }, () => {
      const made = testMachine()
      record(made.machine, ['sleep', '1000'])
      return made
    })

    for (const { machine } of machines) expect(machine.step()).toBe('idle')

    for (const { machine, clock } of machines) {
      expect(machine.nextWakeMs()).toBe(clock.nowMs() + 1_000_000)
      clock.advance(1_000_000)
      expect(machine.step()).toBe('ended')
    }
  })
})
