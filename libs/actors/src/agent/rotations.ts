import {
  checkContainer,
  planReplacements,
  PlanRefused,
  type CheckedContainer,
  type ContainerAbilities,
  type SecretLimits,
} from '@conclave/isolators'
import type { FromAgent, ToAgent } from '@conclave/model'
import { refusalIn, wipeResolved, type Resolved, type Resolver } from '@conclave/resolver'
import type { AgentEffect, AgentInput } from './agent-effect.ts'
import type { AgentTask } from './agent-task.ts'
import { commandOf } from './command.ts'
import type { TaskTeller } from './task-teller.ts'
import { expandedCommand, expandedFiles } from './templates.ts'
import { shortened, unresolvedFile } from './wording.ts'

type Asked = Extract<ToAgent, { type: 'rotate-files' }>
type Replaced = Extract<AgentInput, { kind: 'files-replaced' }>

export interface RotationHost {
  readonly abilities: ContainerAbilities
  readonly limits: Partial<SecretLimits>
  /** The container that runs, by the name that the machine knows it by. */
  readonly running: (containerId: string) => AgentTask | undefined
  readonly resolver: Resolver
  readonly do: (effect: AgentEffect) => void
  readonly send: (message: FromAgent) => void
  readonly teller: TaskTeller
  readonly ticks: () => number
  readonly timeoutTicks: number
}

/** One that is under way. */
interface Rotation {
  readonly asked: Asked
  readonly timeoutAtTick: number
  abandon: () => void
}

/**
 * New contents for the files of containers that run. Their secrets are asked for as those of a container that is
 * made; the machine puts each file in its place whole. Every question is answered, unless the master that asked
 * is gone: then the next one asks again.
 */
export class Rotations {
  readonly #host: RotationHost
  readonly #running = new Map<string, Rotation>()

  constructor(host: RotationHost) {
    this.#host = host
  }

  /** Asked again, it is done again: what is under way is given up. */
  begin(asked: Asked): void {
    const { containerId } = asked
    this.#drop(containerId)
    const task = this.#host.running(containerId)
    if (task?.checked === undefined) return this.#answer(asked, 'the container does not run')
    try {
      const command = expandedCommand(task.command ?? commandOf(task.info), asked.container)
      const checked = checkContainer(command, asked.container, this.#host.abilities)
      this.#resolve(asked, task, checked)
    } catch (refusal) {
      if (!(refusal instanceof PlanRefused)) throw refusal
      this.#answer(asked, refusal.message)
    }
  }

  replaced({ containerId, rotation, failure }: Replaced): void {
    const known = this.#running.get(containerId)
    if (known?.asked.rotation !== rotation) return
    this.#running.delete(containerId)
    this.#answer(known.asked, failure)
  }

  tick(): void {
    for (const { asked, timeoutAtTick } of this.#running.values()) {
      if (this.#host.ticks() < timeoutAtTick) continue
      this.#drop(asked.containerId)
      this.#answer(asked, 'no master released its secrets in time')
    }
  }

  #resolve(asked: Asked, task: AgentTask, checked: CheckedContainer): void {
    const { resolver, ticks, timeoutTicks } = this.#host
    const { containerId } = asked
    const files = checked.secrets.filter(({ placement }) => placement.where === 'tmpfs')
    const wanted = files.map(({ secret, purpose }) => ({ secret, purpose }))
    const rotation: Rotation = { asked, timeoutAtTick: ticks() + timeoutTicks, abandon: () => {} }
    this.#running.set(containerId, rotation)
    const { frameworkId, taskId, recordId } = task
    const of = { frameworkId, taskId, containerId: recordId }
    const abandon = resolver.resolve(of, wanted, (resolved) => {
      rotation.abandon = () => {}
      if (this.#running.get(containerId) !== rotation) return wipeResolved(resolved)
      this.#resolved(asked, checked, resolved)
    })
    if (this.#running.get(containerId) === rotation) rotation.abandon = abandon
  }

  #resolved(asked: Asked, checked: CheckedContainer, resolved: readonly Resolved[]): void {
    const { containerId, rotation } = asked
    const failed = (why: string): void => {
      wipeResolved(resolved)
      this.#running.delete(containerId)
      this.#answer(asked, why)
    }
    const task = this.#host.running(containerId)
    if (task?.checked === undefined) return failed('the container does not run any more')
    const files = checked.secrets.filter(({ placement }) => placement.where === 'tmpfs')
    const refusal = refusalIn(resolved)
    if (refusal !== undefined) {
      const { file } = files[resolved.indexOf(refusal)] ?? {}
      return failed(file === undefined ? refusal.why : unresolvedFile(file, refusal))
    }
    const values = resolved.filter((one) => one.outcome === 'value')
    try {
      const { service } = asked.container
      const bytes = values.map((one) => one.bytes)
      const contents = expandedFiles(files, bytes, checked.command, service)
      const { limits } = this.#host
      const replacements = planReplacements(task.checked, checked, contents, limits)
      this.#tellPlaced(task, files, values)
      this.#host.do({ do: 'replace-files', containerId, rotation, files: replacements })
    } catch (refused) {
      if (!(refused instanceof PlanRefused)) throw refused
      failed(refused.message)
    }
  }

  /** What each file is of now. */
  #tellPlaced(
    task: AgentTask,
    files: CheckedContainer['secrets'],
    values: readonly { readonly path: string }[],
  ): void {
    for (const [index, { path }] of values.entries()) {
      const { placement } = files[index] ?? {}
      if (placement?.where !== 'tmpfs') continue
      const { where, at, mode } = placement
      this.#host.teller.tell(task, { type: 'secret.placed', path, where, at: shortened(at), mode })
    }
  }

  #drop(containerId: string): void {
    this.#running.get(containerId)?.abandon()
    this.#running.delete(containerId)
  }

  #answer({ frameworkId, taskId, rotation }: Asked, failure: string | undefined): void {
    const why = failure === undefined ? {} : { failure: failure.slice(0, 2048) }
    this.#host.send({ type: 'files-rotated', frameworkId, taskId, rotation, ...why })
  }
}
