import { UnlockRefused } from '@conclave/actors'
import { utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'
import type { Beginning, Joining, SwarmNode, SwarmState } from '../swarm-node.ts'

/** A machine that becomes what it is told to, and remembers what it was asked. */
export class ScriptedNode implements SwarmNode {
  state: SwarmState
  readonly asked: unknown[] = []
  /** What opens it. */
  readonly key = `SWMKEY-1-${'B'.repeat(42)}A`

  constructor(state: SwarmState) {
    this.state = state
  }

  async init(wanted: Beginning, begin: () => Promise<void>): Promise<void> {
    this.asked.push({ init: wanted })
    await begin()
    this.state = { is: 'manager' }
  }

  async join({ token, ...wanted }: Joining, begin: () => Promise<void>): Promise<void> {
    this.asked.push({ join: { ...wanted, token: utf8Text(token.reveal()) } })
    wipe(token)
    await begin()
    this.state = { is: 'manager' }
  }

  async beginAnew(): Promise<void> {
    this.asked.push('begin anew')
  }

  async leave(): Promise<void> {
    this.asked.push('leave')
    this.state = { is: 'inactive' }
  }

  async unlock(key: RedactedBytes, source: string): Promise<void> {
    const isRight = utf8Text(key.reveal()) === this.key
    wipe(key)
    this.asked.push({ unlock: source })
    if (!isRight) throw new UnlockRefused()
    this.state = { is: 'manager' }
  }
}
