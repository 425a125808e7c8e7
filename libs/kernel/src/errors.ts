/**
 * Every error thrown on purpose. `code` is stable and listed in `docs/errors.md`; clients and tests
 * match codes and classes, while messages are for people and may change. No message holds a secret.
 */
export abstract class ConclaveError extends Error {
  abstract readonly code: string

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
  }
}

/** A bug of ours: never caught on purpose, because a process that distrusts its own state must stop. */
export class InvariantViolated extends ConclaveError {
  readonly code = 'invariant.violated'
}

/** States what must be true here if our own code is right. @throws InvariantViolated when it is not. */
export function invariant(claim: unknown, message: string): asserts claim {
  if (!claim) throw new InvariantViolated(message)
}
