#!/usr/bin/env node
import { CommanderError } from 'commander'
import { ConclaveError } from '@conclave/kernel'
import { guardProcess, reasonOf } from '@conclave/runtime'
import { exitCode, failureIn } from './failure.ts'
import { conclave } from './program.ts'

guardProcess()

// `conclave … | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await conclave().parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : exitCode.usage
  } else {
    const reason = reasonOf(error)
    if (reason === undefined) throw error
    const code = exitCode[error instanceof ConclaveError ? failureIn(error) : 'failed']
    // Nothing that was begun is waited for: `up` may have failed with half of a cluster around it.
    process.stderr.write(`conclave: ${reason}\n`, () => process.exit(code))
  }
}
