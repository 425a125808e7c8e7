/*
 * What the author of a resolver module writes. Source: the SecretResolver of Mesos (reference/mesos.md
 * §12) with a deadline and a signal; codes of reference/resolvers.md §2. Nothing here but types and one
 * list: a module needs nothing of this house to run in it.
 */

/** A secret as its spec names it. */
export interface ModuleSecret {
  readonly type: 'REFERENCE'
  readonly reference: { readonly name: string; readonly key?: string }
}

/** `Secret.Value` of Mesos: exactly the bytes. */
export interface ModuleValue {
  /** Belongs to whoever asked, who overwrites it: never an array that the module keeps. */
  readonly data: Uint8Array
}

export interface ModuleContext {
  /** Aborted when nobody waits any more. A module that answers all the same is not heard. */
  readonly signal: AbortSignal
  /** When the signal will be aborted, in milliseconds since 1970. */
  readonly deadlineMs: number
  /** What for: `env DB_PASSWORD`, `volume keys/keystore`, `image registry/app`. */
  readonly purpose: string
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
}

/** The port of the talk: a reference in, a value out. */
export interface SecretResolverModule {
  /**
   * @throws anything. Of an error with a `code` of {@link moduleRefusals} the task's status has the
   *   `message`, so it must hold no value; of any other error it has only the name
   */
  resolve(secret: ModuleSecret, context: ModuleContext): Promise<ModuleValue>
  /** Before its agent ends. */
  close?(): Promise<void>
}

/** What a module exports, under its module's name or as `default`. */
export type CreateSecretResolver = (
  /** The `parameters` of the modules document. */
  parameters: Readonly<Record<string, string>>,
) => SecretResolverModule | Promise<SecretResolverModule>

/** The codes with which a module refuses. An error with one of them is an answer, and no fault. */
export const moduleRefusals = {
  NOT_FOUND: 'not-found',
  DENIED: 'denied',
  INVALID_REFERENCE: 'invalid',
  INVALID_RESPONSE: 'invalid',
  TOO_LARGE: 'invalid',
  UNSUPPORTED: 'invalid',
  UNAVAILABLE: 'unavailable',
  TIMEOUT: 'unavailable',
  SEALED: 'unavailable',
} as const
export type ModuleRefusal = keyof typeof moduleRefusals
