import { expect, test } from 'vitest'
import { runScript } from './testing/index.ts'

/*
 * Others run beside whoever wrote a script, on one event loop: nothing that a script says is looked at more
 * than once per character. Patterns that are not would take hours over these.
 */

const many = (character: string): string => character.repeat(100_000)

test.each([
  ['a list of columns', `cut -c ${many('1')}x /dev/null`, 'cut'],
  ['a path', `cat a${many('/')}b`, 'cat'],
  ['what runs in the background', `false x${many(' ')}x &`, ''],
])('threat:NT-10: %s of very many characters is read once', (_what, script, says) => {
  expect(runScript(script).stderr).toContain(says)
})
