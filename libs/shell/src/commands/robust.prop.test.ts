import { ManualClock } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryFileSystem, record, testMachine, type TestMachine } from '../testing/index.ts'
import { commands } from './index.ts'

const files = ['fruit', 'binary', 'empty', 'directory', 'link', 'loop', 'missing', '-', '/dev/null']

const numbers = ['0', '1', '2', '-1', '+3', '1.5', '99999999999', '010', '0x1f', '1k', '']

/** One a line: operands, and scripts of sed and awk, some of them broken. */
const words = String.raw`
a
x=1
if=fruit
of=out
bs=3
count=2
{}
;
+
(
)
!
-o
s/a/b/g
/a/,/b/p
$!N;P;D
:a;ba
1~2d
y/ab/ba/
a\
{p
[
\(
a{2}
{print $1}
BEGIN{x[1]=2;print x}
END{print NR}
/a/
{$3="z";print;NF=1}
{getline
%s\n
%d %5.2f
%
%*d
\x41\c
[:alpha:]
a-c
z-a
[x*3]
u+x,g=u
777
@12
yesterday
+%F %T %N
root
root:root
2,3
1-
-5
http://app/
é
`
  .trim()
  .split('\n')

const option = fc.oneof(
  fc.stringMatching(/^-[a-zA-Z0-9]{1,3}$/),
  fc.constantFrom(
    '--',
    '--all',
    '--help',
    '--number=3',
    '-n',
    '-e',
    '-f',
    '-c',
    '-d',
    '-k2,3n',
    '-t,',
  ),
)

const argument = fc.oneof(
  option,
  fc.constantFrom(...files),
  fc.constantFrom(...numbers),
  fc.constantFrom(...words),
  fc.string({ maxLength: 12 }).filter((text) => !text.includes('\0')),
)

/** A machine with a volume of 8 MiB, as a container has one, and some files in it. */
function furnished(): TestMachine {
  const clock = new ManualClock()
  const fs = new MemoryFileSystem(clock, { sizeBytesMax: 8_388_608 })
  const root = { uid: 0, gid: 0 }
  fs.put('/tmp/fruit', 'apple 1\nbanana 22\n\ncherry\t3 x\nend without newline')
  fs.put(
    '/tmp/binary',
    Uint8Array.from({ length: 600 }, (_, index) => (index * 7) & 0xff),
  )
  fs.put('/tmp/empty', '')
  fs.mkdir('/tmp/directory', 0o755, root)
  fs.put('/tmp/directory/inner', 'x\n')
  fs.symlink('fruit', '/tmp/link', root)
  fs.symlink('loop', '/tmp/loop', root)
  return { ...testMachine({ fs, clock }), fs, clock }
}

/** Programs that run what their arguments name do so from their second word on. */
const argv = fc.tuple(
  fc.constantFrom(...[...commands.keys()].filter((name) => name !== ':')),
  fc.array(argument, { maxLength: 5 }),
)

describe('SH5: whatever its arguments and its input, a program', () => {
  test('neither throws out of step nor holds it up, and ends by itself or by SIGKILL', () => {
    fc.assert(
      fc.property(argv, fc.string({ maxLength: 200 }), ([name, args], stdin) => {
        const made = furnished()
        const recording = record(made.machine, [name, ...args], { stdin })

        for (let step = 0; step < 40 && recording.exit === undefined; step++) {
          made.machine.step(100)
          const wakeMs = made.machine.nextWakeMs()
          if (wakeMs !== undefined) made.clock.advance(Math.max(0, wakeMs - made.clock.nowMs()))
        }
        if (recording.exit === undefined) made.machine.signal(1, 'KILL')

        expect(recording.exit?.exitCode).toBeTypeOf('number')
        // 134 without a signal: a fault of the program itself, which the kernel turned into SIGABRT.
        const isFault = recording.exit?.exitCode === 134 && recording.exit.signal === undefined
        expect(isFault).toBe(false)
      }),
      { numRuns: 2000 },
    )
  }, 120_000)
})
