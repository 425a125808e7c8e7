import type { RedactedBytes } from '@conclave/kernel'

/** What a driver is asked: for one secret of one task. Source: reference/resolvers.md §5.1. */
export interface DriverQuestion {
  readonly driver: string
  readonly secretName: string
  readonly secretLabels: Readonly<Record<string, string>>
  readonly serviceId: string
  readonly serviceName: string
  readonly serviceLabels: Readonly<Record<string, string>>
  readonly serviceHostname: string
  readonly taskId: string
  readonly taskName: string
  readonly taskImage: string
  readonly nodeId: string
}

/** The value is whoever asked's to wipe. A reason is made to be shown, and never holds a value. */
export type DriverAnswer =
  | { readonly outcome: 'value'; readonly bytes: RedactedBytes }
  | { readonly outcome: 'not-found' | 'invalid' | 'unavailable'; readonly why: string }

/** The port: those who have the values of secrets that have none here. */
export interface SecretDrivers {
  /** Whether there is a driver of that name where this master runs. */
  has(name: string): Promise<boolean>
  /** Answers, whatever happens, and before an agent gives up. */
  ask(question: DriverQuestion): Promise<DriverAnswer>
}
