import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { runScript } from '../testing/index.ts'
import { SystemShell, type Result } from '../testing/system-shell.ts'

/** The scripts of a file of testdata. One without a name is called by its first line. */
function casesOf(file: string): readonly { readonly name: string; readonly script: string }[] {
  const text = readFileSync(new URL(`../../testdata/${file}`, import.meta.url), 'utf8')
  return text
    .split(/^### ?/m)
    .slice(1)
    .map((section) => {
      const cut = section.indexOf('\n')
      const script = section.slice(cut + 1)
      return { name: section.slice(0, cut) || (script.split('\n')[0] ?? ''), script }
    })
}

const cases = [...casesOf('differential.txt'), ...casesOf('corners.txt')]

function runHere(script: string): Result {
  const { stdout, exitCode } = runScript(script)
  return { stdout, exitCode }
}

const isThere = SystemShell.isThere
const reason = isThere ? '' : ' (skipped: this system has no dash as /bin/sh to compare with)'

describe.skipIf(!isThere)(`SH1: this shell and the system's agree${reason}`, () => {
  const system = new SystemShell()

  afterAll(() => system.close())

  test.each(cases)('$name', ({ script }) => {
    expect(runHere(script)).toEqual(system.run(script))
  })
})
