import { describeConfiguration, describeProgress } from '../describe.ts'
import { RaftError } from '../errors.ts'
import {
  type Reconfiguration,
  changeConfig,
  enterJointConfig,
  leaveJointConfig,
} from '../membership.ts'
import { Tracker } from '../tracker.ts'
import { parseChanges } from './changes.ts'
import { type Directive, ScriptMalformed, flagOf } from './directive.ts'

/** Changes a configuration that begins empty. Source: reference raft.md §5.5. */
export class ConfChangeRunner {
  readonly #tracker = new Tracker(10, 0)
  #directiveCount = 0

  handle(directive: Directive): string {
    const lastIndex = this.#directiveCount++
    try {
      this.#tracker.reconfigure(this.#next(directive), lastIndex)
    } catch (error) {
      if (error instanceof RaftError) return error.message
      throw error
    }
    const lines = [describeConfiguration(this.#tracker.config)]
    for (const id of this.#tracker.members) {
      const progress = this.#tracker.progress(id)
      if (progress !== undefined) lines.push(`${id}: ${describeProgress(progress)}`)
    }
    return lines.join('\n')
  }

  #next(directive: Directive): Reconfiguration {
    const { config } = this.#tracker
    const changes = parseChanges(directive.input)
    switch (directive.command) {
      case 'simple':
        return changeConfig(config, changes)
      case 'enter-joint':
        return enterJointConfig(config, flagOf(directive, 'autoleave'), changes)
      case 'leave-joint':
        return leaveJointConfig(config)
      default:
        throw new ScriptMalformed(`line ${directive.line}: unknown ${directive.command}`)
    }
  }
}
