import type { ClusterCore, GrantAnswer } from '@conclave/cluster'
import { box, boxContext, CryptographicFailure } from '@conclave/crypto'
import {
  BytesMalformed,
  readJsonField,
  Redacted,
  wipe,
  type Clock,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import {
  parseSecretPath,
  partsIn,
  PathInvalid,
  Secret,
  secretDriverLabel,
  TaskInfo,
  type AuditRecord,
  type EventDraft,
  type FromAgent,
  type Resolution,
  type SecretPath,
} from '@conclave/model'
import type { SecretDrivers } from '@conclave/resolver'
import type { AuditSink } from '../../ports.ts'
import { driverQuestion } from './driver-question.ts'
import { SecretUnreadable } from '../errors.ts'
import type { Replicated } from '../replicated.ts'
import { inlinePath } from '../inline-path.ts'
import type { SecretService } from '../secret-service.ts'
import type { Term } from '../term.ts'

type ResolveRequest = Extract<FromAgent, { type: 'resolve' }>
type Granted = Extract<GrantAnswer, { outcome: 'granted' }>
type Refusal = Exclude<Resolution, { outcome: 'value' }>

export interface ResolveServiceOptions {
  readonly replicated: Replicated
  readonly secrets: SecretService
  readonly audit: AuditSink
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  readonly clusterId: string
  /** Who has what has no value here. Nobody, unless given. */
  readonly drivers?: SecretDrivers | undefined
}

interface Container {
  readonly frameworkId: string
  readonly taskId: string
  readonly agentId: string
  readonly containerId: string
}

/** Sealed bytes that may be released, and where they belong. */
interface Released {
  readonly path: string
  readonly version: number
  readonly envelope: Uint8Array
  /** The member of the JSON object in it that was asked for. */
  readonly key: string | undefined
  /** Who has the value, when nothing is sealed. */
  readonly driver?: string | undefined
}

/** What drivers said, by the place of the secret in the question. */
type Driven = ReadonlyMap<number, RedactedBytes | Refusal>

/**
 * The only way from an envelope to a container. For each secret of one question: is it granted, is
 * this master still the leader, is it on record; then it is opened, and boxed to the one-time key that
 * the question brought.
 */
export class ResolveService {
  readonly #options: ResolveServiceOptions

  constructor(options: ResolveServiceOptions) {
    this.#options = options
  }

  /**
   * Answers each wanted secret, in order; undefined when the term ended meanwhile, because whoever no
   * longer leads must not answer at all.
   */
  async resolve(
    term: Term,
    connection: number,
    request: ResolveRequest,
  ): Promise<readonly Resolution[] | undefined> {
    // Grants that are decided but not agreed on may yet be lost, and so may revocations.
    await term.settled()
    await this.#options.replicated.refresh()
    const granted = grantsOf(term.core, connection, request)
    if (granted === undefined) return undefined

    const { frameworkId, taskId, containerId } = request
    const agentId = term.core?.agentOf(connection)?.agentId ?? 'unknown'
    const container = { frameworkId, taskId, agentId, containerId }
    const decided = request.secrets.map(({ secret, purpose }) => {
      const path = nameOf(secret)
      this.#options.emit({ type: 'secret.requested', ...container, path, purpose })
      return { path, secret, decision: this.#decide(granted, secret) }
    })
    await this.#audit(agentId, request, decided)
    const driven = await this.#askDrivers(granted, agentId, decided)
    try {
      // A grant may have been revoked while the disk was busy: what is granted now counts.
      const still = grantsOf(term.core, connection, request)
      if (still === undefined) return undefined

      return decided.map(({ path, secret, decision }, at): Resolution => {
        const answer =
          'outcome' in decision
            ? decision
            : this.#answer(this.#decide(still, secret), request, driven.get(at))
        this.#tell(container, path, answer)
        return answer
      })
    } finally {
      for (const value of driven.values()) if (value instanceof Redacted) wipe(value)
    }
  }

  /** All drivers at once: each answers in its time, and none throws. */
  async #askDrivers(
    granted: GrantAnswer,
    agentId: string,
    decided: readonly { readonly decision: Released | Refusal }[],
  ): Promise<Driven> {
    const driven = new Map<number, RedactedBytes | Refusal>()
    const { drivers, secrets, clusterId } = this.#options
    if (granted.outcome === 'denied') return driven
    const asked = decided.map(async ({ decision }, at): Promise<void> => {
      if ('outcome' in decision || decision.driver === undefined) return
      const { path, driver } = decision
      const labels = secrets.labelsOf(path) ?? {}
      const question = driverQuestion({ driver, path, labels }, granted.task, clusterId, agentId)
      const answer = await drivers?.ask(question)
      const nobody = refusal('unavailable', `plugin "${driver}" not found`)
      driven.set(at, answer?.outcome === 'value' ? answer.bytes : (answer ?? nobody))
    })
    await Promise.all(asked)
    return driven
  }

  #decide(granted: GrantAnswer, secret: Secret): Released | Refusal {
    if (granted.outcome === 'denied') return refusal('denied', granted.why)
    if (secret.reference !== undefined) return this.#decideReference(granted, secret.reference)
    const { sealed } = secret.value ?? {}
    if (sealed === undefined) return refusal('invalid', 'Secret has no value')
    // The agent's copy may be older than the key that seals it now: what the task's record has counts.
    const ofTask = partsIn(TaskInfo, granted.task, Secret).find(
      ({ value }) => value?.sealed?.id === sealed.id,
    )?.value?.sealed
    if (ofTask === undefined) return refusal('denied', 'the value is not part of this task')
    return {
      path: inlinePath(sealed.id),
      version: 1,
      envelope: new Uint8Array(Buffer.from(ofTask.envelope, 'base64')),
      key: undefined,
    }
  }

  #decideReference(
    { grants }: Granted,
    { name, key }: NonNullable<Secret['reference']>,
  ): Released | Refusal {
    const path = pathOf(name)
    if (path === undefined) return refusal('invalid', 'the reference does not name a secret path')
    const grant = grants.find((one) => one.path === path && one.revokedAtMs === undefined)
    if (grant === undefined) return refusal('denied', `no grant for secret ${path}`)
    const found = this.#options.secrets.sealedVersion(path, grant.version ?? undefined)
    const driver = this.#options.secrets.labelsOf(path)?.[secretDriverLabel]
    if (found !== undefined) return { path, ...found, key, driver }
    return refusal(
      'not-found',
      grant.version === null
        ? `no secret ${path}`
        : `version ${grant.version} of secret ${path} is gone`,
    )
  }

  /** @throws whatever the audit does: no record, no answer (docs/architecture.md, S3) */
  async #audit(
    agentId: string,
    request: ResolveRequest,
    decided: readonly { readonly path: string; readonly decision: Released | Refusal }[],
  ): Promise<void> {
    const { audit, clock } = this.#options
    await Promise.all(
      decided.map(({ path, decision }) =>
        audit.append({
          atMs: clock.nowMs(),
          principal: `agent/${agentId}`,
          action: 'resolve',
          path,
          outcome: 'outcome' in decision ? auditOutcomes[decision.outcome] : 'allowed',
          ...('outcome' in decision ? {} : { version: decision.version }),
          frameworkId: request.frameworkId,
          taskId: request.taskId,
          agentId,
          requestId: request.requestId,
        }),
      ),
    )
  }

  #answer(
    decision: Released | Refusal,
    request: ResolveRequest,
    driven: RedactedBytes | Refusal | undefined,
  ): Resolution {
    if ('outcome' in decision) return decision
    const { path, version, envelope, key, driver } = decision
    if (driver !== undefined && !(driven instanceof Redacted)) {
      return driven ?? refusal('unavailable', `secret ${path} has a driver since it was asked for`)
    }
    let value: RedactedBytes | undefined
    try {
      const whole =
        driven instanceof Redacted ? driven : this.#options.secrets.open(path, version, envelope)
      value = whole
      if (key !== undefined) {
        const member = memberOf(whole, key)
        if (!(member instanceof Redacted)) return member
        value = member
      }
      return this.#box(value, path, version, request)
    } catch (failure) {
      if (failure instanceof SecretUnreadable) {
        return refusal('unavailable', `secret ${path} cannot be opened`)
      }
      if (failure instanceof CryptographicFailure) {
        return refusal('invalid', 'the public key is not usable')
      }
      throw failure
    } finally {
      if (value !== undefined) wipe(value)
    }
  }

  #box(
    value: RedactedBytes,
    path: string,
    version: number,
    { taskId, containerId, publicKey }: ResolveRequest,
  ): Resolution {
    const to = new Uint8Array(Buffer.from(publicKey, 'base64'))
    const context = boxContext({ taskId, containerId, path, version })
    const sealed = box(to, value, context, this.#options.random)
    return {
      outcome: 'value',
      path,
      version,
      sizeBytes: value.reveal().length,
      box: Buffer.from(sealed).toString('base64'),
    }
  }

  #tell(container: Container, path: string, answer: Resolution): void {
    const { emit } = this.#options
    if (answer.outcome === 'value') {
      emit({ type: 'secret.released', ...container, path: answer.path, version: answer.version })
    } else {
      const { outcome, why } = answer
      emit({ type: 'secret.refused', ...container, path, outcome, why })
    }
  }
}

const auditOutcomes: Readonly<Record<Refusal['outcome'], AuditRecord['outcome']>> = {
  denied: 'denied',
  'not-found': 'not-found',
  invalid: 'failed',
  unavailable: 'failed',
}

const refusal = (outcome: Refusal['outcome'], why: string): Refusal => ({ outcome, why })

const grantsOf = (
  core: ClusterCore | undefined,
  connection: number,
  { frameworkId, taskId, containerId }: ResolveRequest,
): GrantAnswer | undefined => core?.grantsFor(connection, { frameworkId, taskId, containerId })

/** What an audit line and an event call the secret: never more of a foreign text than fits. */
function nameOf({ reference, value }: Secret): string {
  if (reference !== undefined) return (pathOf(reference.name) ?? reference.name).slice(0, 1024)
  return inlinePath(value?.sealed?.id ?? 'unknown').slice(0, 1024)
}

function pathOf(name: string): SecretPath | undefined {
  try {
    return parseSecretPath(name)
  } catch (fault) {
    if (fault instanceof PathInvalid) return undefined
    throw fault
  }
}

/** The string at `key` of the JSON object in `whole`, which is wiped. */
function memberOf(whole: RedactedBytes, key: string): RedactedBytes | Refusal {
  try {
    const field = readJsonField(whole.reveal(), key)
    if (field.kind === 'string') return new Redacted(field.bytes)
    return field.kind === 'absent'
      ? refusal('not-found', `the secret has no key ${key.slice(0, 255)}`)
      : refusal('invalid', `the value at key ${key.slice(0, 255)} is not a string`)
  } catch (fault) {
    if (!(fault instanceof BytesMalformed)) throw fault
    return refusal('invalid', 'a key was asked for, and the secret is no JSON object')
  } finally {
    wipe(whole)
  }
}
