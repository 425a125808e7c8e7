#!/usr/bin/env node
import { CommanderError } from 'commander'
import { ConclaveError } from '@conclave/kernel'
import { guardProcess } from '@conclave/runtime'
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
  } else if (error instanceof ConclaveError) {
    const code = exitCode[failureIn(error)]
    // Nothing that was begun is waited for: `up` may have failed with half of a cluster around it.
    process.stderr.write(`conclave: ${error.message}\n`, () => process.exit(code))
  } else {
    throw error
  }
}
