import { ManualClock } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import type { MachineOptions } from '../machine.ts'
import {
  outcomeOf,
  record,
  runScript,
  runToEnd,
  testMachine,
  type Outcome,
  type RunOptions,
} from '../testing/index.ts'

/** Runs a script in a machine that is made as `options` say. */
function runIn(
  machineOptions: Partial<MachineOptions>,
  script: string,
  options: RunOptions = {},
): Outcome {
  const made = testMachine(machineOptions)
  const recording = record(made.machine, ['sh', '-c', script], options)
  runToEnd(made)
  return outcomeOf(recording)
}

const mounts = () => [
  {
    source: 'overlay',
    at: '/',
    type: 'overlay',
    options: 'rw',
    sizeBytes: 8_388_608,
    usedBytes: 4096,
  },
  {
    source: 'tmpfs',
    at: '/run/secrets',
    type: 'tmpfs',
    options: 'ro,nosuid,nodev,noexec,size=1024k,mode=700',
    sizeBytes: 1_048_576,
    usedBytes: 8192,
  },
]

describe('the mounts of a machine', () => {
  test('are what mount prints', () => {
    expect(runIn({ mounts }, 'mount -t tmpfs').stdout).toBe(
      'tmpfs on /run/secrets type tmpfs (ro,nosuid,nodev,noexec,size=1024k,mode=700)\n',
    )
  })

  test('are in /proc/mounts', () => {
    expect(runIn({ mounts }, 'grep secrets /proc/mounts').stdout).toBe(
      'tmpfs /run/secrets tmpfs ro,nosuid,nodev,noexec,size=1024k,mode=700 0 0\n',
    )
  })

  test('are a tree to findmnt, and one of them by its target', () => {
    const { stdout } = runIn(
      { mounts },
      'findmnt -o TARGET,FSTYPE; findmnt -n -o FSTYPE /run/secrets',
    )

    expect(stdout).toBe(
      'TARGET         FSTYPE\n/              overlay\n└─/run/secrets tmpfs\ntmpfs\n',
    )
  })

  test('findmnt says with its exit code that nothing is mounted there', () => {
    expect(runIn({ mounts }, 'findmnt /nowhere').exitCode).toBe(1)
  })

  test('are what df measures', () => {
    expect(
      runIn({ mounts }, 'mkdir -p /run/secrets; df /run/secrets; df -h / | tail -1').stdout,
    ).toBe(
      [
        'Filesystem     1K-blocks Used Available Use% Mounted on',
        'tmpfs               1024    8      1016   1% /run/secrets',
        'overlay        8.0M 4.0K  8.0M   1% /',
        '',
      ].join('\n'),
    )
  })

  test('cannot be changed from inside', () => {
    const { exitCode, stderr } = runIn({ mounts }, 'mount -t tmpfs none /mnt')

    expect(exitCode).toBe(32)
    expect(stderr).toBe('mount: /mnt: permission denied.\n')
  })
})

describe('who and where a process is', () => {
  const users = [{ name: 'app', uid: 1000, gid: 1000, home: '/home/app' }]

  test('the accounts of the machine have names, all others numbers', () => {
    const script = 'id; whoami; id -un; id -g'

    expect(runIn({ users }, script, { uid: 1000, gid: 1000 }).stdout).toBe(
      'uid=1000(app) gid=1000(app) groups=1000(app)\napp\napp\n1000\n',
    )
    expect(runIn({ users }, 'id', { uid: 5, gid: 6 }).stdout).toBe('uid=5 gid=6 groups=6\n')
    expect(runIn({ users }, 'whoami', { uid: 5, gid: 6 }).stderr).toBe(
      'whoami: cannot find name for user ID 5\n',
    )
  })

  test('hostname and uname tell the name of the machine', () => {
    expect(runIn({ hostname: 'c0ffee' }, 'hostname; uname -n; uname -sm').stdout).toBe(
      'c0ffee\nc0ffee\nLinux x86_64\n',
    )
  })

  test('getent lists accounts and says 2 for a stranger', () => {
    const { stdout, exitCode } = runIn({ users }, 'getent passwd app; getent passwd nobody')

    expect(stdout).toBe('app:x:1000:1000:app:/home/app:/bin/sh\n')
    expect(exitCode).toBe(2)
  })

  test("a user may neither read what is root's nor change its owner", () => {
    const made = testMachine()
    made.fs.put('/etc/secret', 'value\n', 0o400)
    const script =
      'cat /etc/secret; cp /etc/secret /tmp/x; chown 1000 /etc/secret; rm -f /etc/secret'
    const recording = record(made.machine, ['sh', '-c', script], { uid: 1000, gid: 1000 })
    runToEnd(made)

    expect(recording.out).toBe('')
    expect(recording.err.split('\n')).toEqual([
      'cat: /etc/secret: Permission denied',
      "cp: cannot open '/etc/secret' for reading: Permission denied",
      "chown: changing ownership of '/etc/secret': Operation not permitted",
      "rm: cannot remove '/etc/secret': Permission denied",
      '',
    ])
  })
})

describe('the environment', () => {
  test('is printed exactly, with nothing of the shell in it, and bytes pass through', () => {
    const made = testMachine()
    const env = new Map<string, string | Uint8Array>([
      ['PATH', '/bin'],
      ['SECRET', Uint8Array.of(0x61, 0xff, 0xfe, 0x62)],
    ])
    const chunks: Uint8Array[] = []
    made.machine.start({
      argv: ['env'],
      env,
      stdout: (bytes) => chunks.push(bytes),
      stderr: () => {},
    })
    runToEnd(made)

    expect(Buffer.concat(chunks)).toEqual(
      Buffer.concat([
        Buffer.from('PATH=/bin\nSECRET=a'),
        Buffer.from([0xff, 0xfe]),
        Buffer.from('b\n'),
      ]),
    )
  })

  test('env runs a program in its own place', () => {
    const { stdout } = runScript("env A=1 sh -c 'echo $A $$' & wait $!; echo $!")
    const [inner, outer] = stdout.trim().split('\n')

    expect(inner).toBe(`1 ${outer}`)
  })

  test('a program that is not there is 127 to env, nohup and timeout', () => {
    const script = 'env nothing; echo $?; nohup nothing; echo $?; timeout 1 nothing; echo $?'

    expect(runScript(script).stdout).toBe('127\n127\n127\n')
  })
})

describe('processes', () => {
  test('ps shows them, and itself', () => {
    const { stdout } = runScript('sleep 100 & ps -o pid,ppid,stat,args; kill $!')

    expect(
      stdout
        .split('\n')
        .map((line) => line.trim().replace(/ +/g, ' '))
        .slice(0, 3),
    ).toEqual(['PID PPID STAT COMMAND', expect.stringMatching(/^1 0 S sh -c/), '2 1 S sleep 100'])
  })

  test('kill ends one of them, with the signal in its exit code', () => {
    const script = 'sleep 100 & /bin/kill -INT $!; sleep 100 & env kill -9 $!; wait $!; echo $?'

    expect(runScript(script).stdout).toBe('137\n')
  })

  test('kill of nobody fails', () => {
    const { exitCode, stderr } = runScript('env kill 4242')

    expect(exitCode).toBe(1)
    expect(stderr).toBe('kill: (4242) - No such process\n')
  })

  test('one user cannot signal another', () => {
    const made = testMachine()
    record(made.machine, ['sleep', '10'])
    const recording = record(made.machine, ['kill', '1'], { uid: 1000, gid: 1000 })
    runToEnd(made)

    expect(recording.err).toBe('kill: (1) - Operation not permitted\n')
  })

  test('pgrep and pkill find them by name', () => {
    expect(runScript('sleep 5 & pgrep sleep; pkill sleep; wait $!; echo $?').stdout).toBe(
      '2\n143\n',
    )
  })

  test('nohup leaves SIGHUP without effect', () => {
    const script = 'nohup sleep 1 & sleep 0.1; kill -HUP $!; wait $!; echo $?'

    expect(runScript(script).stdout).toBe('0\n')
  })

  test("sleep takes fractions and units of the machine's clock", () => {
    const clock = new ManualClock()
    const { machine } = testMachine({ clock })
    record(machine, ['sleep', '0.25', '1m'])
    const startedAtMs = clock.nowMs()

    while (machine.step() === 'ready');

    expect(machine.nextWakeMs()).toBe(startedAtMs + 60_250)
  })
})

describe('what a program does not know', () => {
  test.each([
    ['grep --perl-regexp a', 2, "grep: unrecognized option '--perl-regexp'\n"],
    ['ls --hyperlink', 2, "ls: unrecognized option '--hyperlink'\n"],
    ['cat --frobnicate', 1, "cat: unrecognized option '--frobnicate'\n"],
    ['sort -q', 2, "sort: invalid option -- 'q'\n"],
    ['nc -l 80', 1, 'nc: raw connections are not supported here, use curl or wget\n'],
    ['dd conv=ucase', 1, "dd: invalid conversion: 'ucase'\n"],
    ['find . -fstype tmpfs', 1, "find: unknown predicate `-fstype'\n"],
    ["sed 's/a/b/e'", 1, "sed: -e expression #1, char 7: unknown option to `s'\n"],
    ["grep '\\(a\\)\\1'", 2, 'grep: Back-references are not supported\n'],
    ['awk \'BEGIN {print | "sh"}\'', 2, 'awk: line 1: output into commands is not supported\n'],
    ['ln -r a b', 1, "ln: unrecognized option '--relative'\n"],
  ])('is refused, never guessed: %s', (script, status, message) => {
    const { exitCode, stderr, stdout } = runScript(script)

    expect({ exitCode, stderr, stdout }).toEqual({ exitCode: status, stderr: message, stdout: '' })
  })
})

describe('time and chance come from the machine', () => {
  test('date tells the time of its clock', () => {
    const clock = new ManualClock(Date.UTC(2024, 1, 29, 12, 34, 56))

    expect(runIn({ clock }, 'date "+%F %T"; date +%s').stdout).toBe(
      '2024-02-29 12:34:56\n1709210096\n',
    )
  })

  test('mktemp makes the same names in the same world', () => {
    expect(runScript('mktemp; mktemp -d').stdout).toBe(runScript('mktemp; mktemp -d').stdout)
  })

  test('awk throws the same dice for the same seed', () => {
    const { stdout } = runScript(
      "for i in 1 2; do awk 'BEGIN {srand(7); print rand(), rand()}'; done | uniq | wc -l",
    )

    expect(stdout.trim()).toBe('1')
  })
})

test('a volume that is full says so', () => {
  expect(runScript('head -c 10 /dev/zero > /dev/full').stderr).toBe(
    'head: No space left on device\n',
  )
  expect(runScript('echo x | tee /dev/full > /dev/null').exitCode).toBe(1)
})

test('ls -l shows modes, owners, sizes, times and links', () => {
  const { stdout } = runScript(
    'printf 12345 > f; chmod 640 f; ln -s f l; mkdir d; chmod 1777 d; ls -l',
  )

  expect(stdout).toBe(
    [
      'total 8',
      'drwxrwxrwt 2 root root 4096 Nov 14 22:13 d',
      '-rw-r----- 1 root root    5 Nov 14 22:13 f',
      'lrwxrwxrwx 1 root root    1 Nov 14 22:13 l -> f',
      '',
    ].join('\n'),
  )
})
