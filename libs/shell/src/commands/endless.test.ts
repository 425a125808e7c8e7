import { describe, expect, test } from 'vitest'
import { record, runToEnd, testMachine, type TestMachine } from '../testing/index.ts'

/** Gives a machine many turns without letting it wait for its clock. */
function spin({ machine }: TestMachine, steps = 60): void {
  for (let step = 0; step < steps; step++) machine.step(10)
}

describe('SH2: programs that never end by themselves', () => {
  test.each([
    'yes > /dev/null',
    'cat /dev/zero > /dev/null',
    'cat < /dev/zero | wc',
    'grep -a no-such-text /dev/urandom > /dev/null',
    'grep -v x /dev/zero',
    'sed -n p /dev/urandom',
    "yes | sed -n ':a;ba'",
    "yes | sed ':a;s/y/y/;ta'",
    'yes | awk "{n++}"',
    "awk 'BEGIN {while (1);}'",
    "awk 'BEGIN {for (;;) x++}'",
    "awk 'BEGIN {do y++; while (1)}'",
    "awk 'function f() {while (1) g(); } function g() {return 1} BEGIN {f()}'",
    'tail -n 1 /dev/zero',
    'tail -n +5 /dev/zero > /dev/null',
    'head -c 100G /dev/zero > /dev/null',
    'tr -d a < /dev/zero',
    'base64 /dev/zero > /dev/null',
    'base64 -d /dev/urandom',
    'sha256sum /dev/zero',
    'od /dev/zero',
    'hexdump -v /dev/zero > /dev/null',
    'xxd -p /dev/urandom > /dev/null',
    'cut -c1 /dev/urandom > /dev/null',
    'seq 1000000000000 > /dev/null',
    'seq 1000000000 | sort | uniq',
    'dd if=/dev/zero of=/dev/null',
    'cmp /dev/zero /dev/zero',
    'yes | xargs -n1 true',
    'tee < /dev/zero > /dev/null',
    'printf "%s" $(seq 20000) > /dev/null; while :; do printf "%s %s" a b > /dev/null; done',
    'sort /dev/urandom',
    'nl /dev/urandom > /dev/null',
    'paste /dev/urandom > /dev/null',
    'fold -w 1 /dev/zero > /dev/null',
  ])('neither hold up their machine nor outlive SIGKILL: %s', (script) => {
    const made = testMachine()
    const recording = record(made.machine, ['sh', '-c', script])

    spin(made)
    made.machine.signal(1, 'KILL')

    expect(made.machine.state).toBe('ended')
    expect(recording.exit?.exitCode === 137 || recording.err !== '').toBe(true)
  })

  test('refuse input that is too large to hold with a message, and the machine goes on', () => {
    const made = testMachine({ limits: { stringBytes: 65_536 } })
    const recording = record(made.machine, ['sh', '-c', 'yes | sort; tac /dev/zero; echo after'])

    runToEnd(made)

    expect(recording.out).toBe('after\n')
    expect(recording.err).toContain('sort: input too large')
    expect(recording.err).toContain('tac: line too long')
  })

  test('give way to a neighbour: sleep ends while awk spins', () => {
    const made = testMachine()
    const script = "awk 'BEGIN {while (1);}' & sleep 1; echo awake; kill $!"
    const recording = record(made.machine, ['sh', '-c', script])

    for (let step = 0; step < 2000 && recording.exit === undefined; step++) {
      made.machine.step(50)
      made.clock.advance(10)
    }

    expect(recording.out).toBe('awake\n')
    expect(recording.exit?.exitCode).toBe(0)
  })
})

/** A variable `x` of that letter three hundred thousand times. */
const long = (letter: string): string => `x=$(head -c 300000 /dev/zero | tr '\\0' '${letter}')`

describe('SH2: long and hostile arguments', () => {
  // Each of these would take minutes if it looked at every pair of bytes.
  test.each([
    [`${long('/')}; basename "\${x}a"; rm -f "\${x}a"`, 'a\n'],
    [`${long('[')}; echo a | sed "s/$x/b/" 2>/dev/null; echo $?`, '1\n'],
    [`${long('[')}; awk "/$x/" 2>/dev/null; echo $?`, '2\n'],
    [`${long('1')}; echo "\${x}x" | awk '{print ($1 == 1)}'`, '0\n'],
    [`${long('a')}; echo "$x" | grep -E '(a|a)*(a|a)*b'; echo $?`, '1\n'],
    [`${long('X')}; mktemp -u "\${x}a/y" 2>/dev/null; echo $?`, '1\n'],
    [`${long(' ')}; expr "\${x}1" + 1 2>/dev/null; echo $?`, '2\n'],
  ])('are read once: %s', (script, stdout) => {
    const made = testMachine()
    const recording = record(made.machine, ['sh', '-c', script])

    runToEnd(made, 200_000)

    expect(recording.out).toBe(stdout)
  })

  test.each([
    ['awk \'BEGIN {for (;;) a[i++]=sprintf("%60000s","x")}\'', 'awk: out of memory\n'],
    ['awk \'BEGIN {x="a"; for (;;) x=x x}\'', 'awk: string too long\n'],
    ["awk 'function f(n) {return f(n+1)} BEGIN {f(1)}'", 'awk: function calls nested too deep\n'],
    ["yes | sed ':a;N;ba'", 'sed: line too long\n'],
    ['yes | tail -n 1000000000', 'tail: input too large\n'],
  ])('take no more memory than a program may have: %s', (script, stderr) => {
    const made = testMachine({ limits: { stringBytes: 262_144 } })
    const recording = record(made.machine, ['sh', '-c', script])

    runToEnd(made, 200_000)

    expect(recording.err).toBe(stderr)
  })

  test('awk forgets what a function held once it returned', () => {
    const script = `awk 'function f(i,  a) {for (i=0;i<50;i++) a[i]=sprintf("%1000s",i)}
      BEGIN {while (n++<200) f(); print "done"}'`
    const made = testMachine({ limits: { stringBytes: 65_536 } })
    const recording = record(made.machine, ['sh', '-c', script])

    runToEnd(made, 200_000)

    expect(recording.out).toBe('done\n')
  })
})

describe('tail -f', () => {
  test('prints what is appended to a file, also after the file was cut short', () => {
    const made = testMachine()
    const script = `echo one > log; tail -f log &
      sleep 1; echo two >> log; sleep 1; echo 3 > log; sleep 1; kill $!`
    const recording = record(made.machine, ['sh', '-c', script])

    runToEnd(made)

    expect(recording.out).toBe('one\ntwo\n3\n')
    expect(recording.err).toBe('tail: log: file truncated\n')
  })

  test('-F waits for a name that is not there yet', () => {
    const made = testMachine()
    const script = 'tail -F log 2>/dev/null & sleep 1; echo one > log; sleep 1; kill $!'
    const recording = record(made.machine, ['sh', '-c', script])

    runToEnd(made)

    expect(recording.out).toBe('one\n')
  })

  test('costs nothing while nothing happens: the machine is idle until its next look', () => {
    const made = testMachine()
    record(made.machine, ['tail', '-f', '/etc/log'])
    made.fs.put('/etc/log', 'one\n')

    while (made.machine.step() === 'ready');

    expect(made.machine.nextWakeMs()).toBeGreaterThan(made.clock.nowMs())
  })

  test('of /dev/null stays without ever looking, until it is ended', () => {
    const made = testMachine()
    const recording = record(made.machine, ['sh', '-c', 'tail -f /dev/null'])

    while (made.machine.step() === 'ready');
    expect(made.machine.state).toBe('idle')
    expect(made.machine.nextWakeMs()).toBeUndefined()

    made.machine.signal(1, 'TERM')
    while (made.machine.step() === 'ready');
    expect(made.machine.state).toBe('ended')
    expect(recording.exit?.signal).toBe('TERM')
  })
})
