import { ConclaveError } from '@conclave/kernel'

/** What `--modules` says cannot be used, in the words of Mesos' module loader. */
export class ModulesInvalid extends ConclaveError {
  readonly code = 'modules.invalid'
}

/** The module that `--secret_resolver` names cannot be made: its agent does not start. */
export class ResolverNotInitialized extends ConclaveError {
  readonly code = 'resolver.not-initialized'

  constructor(why: string, cause?: unknown) {
    // Said twice upstream, once by the module and once by the agent.
    super(
      `Failed to initialize secret resolver: Failed to initialize secret resolver: ${why}`,
      cause === undefined ? undefined : { cause },
    )
  }
}
