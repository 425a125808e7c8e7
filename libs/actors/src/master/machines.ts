import type { Compare, Op, View } from '@conclave/store'
import { nodeKey, NodeSettings } from '@conclave/workloads'
import { z } from 'zod'
import { promotionPrefix, PromotionRecord } from './authority/authority-records.ts'
import { documentKey, documentNameKey, DocumentRecord } from './documents/document-records.ts'
import { encodeRecord, Records } from './record.ts'
import { isStill } from './replicated.ts'

/*
 * Which agent runs on the machine of which master: written down by the machine that is both, as a document, since
 * nobody else could be believed; or known from the promotion that the master came of (docs/adr/0034-one-engine-one-node.md).
 */

/** Of documents, each named for the master. */
export const machineKind = 'docker-engine'
export const MachineBody = z.object({ agent: z.string() })

/** What goes into one transaction beside what it is about. */
export interface Beside {
  readonly compare: readonly Compare[]
  readonly success: readonly Op[]
}

const nothing: Beside = { compare: [], success: [] }

/** Machines that are a master and an agent. */
export class Machines {
  readonly #documents: Records<DocumentRecord>
  readonly #promotions: Records<PromotionRecord>
  readonly #nodes: Records<NodeSettings>

  constructor(view: View) {
    this.#documents = new Records(view, DocumentRecord)
    this.#promotions = new Records(view, PromotionRecord)
    this.#nodes = new Records(view, NodeSettings)
  }

  /** What constraints know the master's agent as follows what the master shall be. */
  become(masterId: string, role: NodeSettings['role']): Beside {
    const name = this.#agentOf(masterId)
    if (name === undefined) return nothing
    const key = nodeKey(name)
    const known = this.#nodes.get(key)
    const before = known?.record ?? NodeSettings.parse({ name })
    if (before.role === role) return nothing
    return {
      compare: [isStill(key, known)],
      success: [{ do: 'put', key, value: encodeRecord({ ...before, role }) }],
    }
  }

  /** The master is none any more. Its machine goes on with the agent alone, and is not to begin anew. */
  part(masterId: string): Beside {
    const { compare, success } = this.become(masterId, 'worker')
    const promotions = this.#promotionsOf(masterId).map(({ key }): Op => ({ do: 'delete', key }))
    const document: readonly Op[] =
      this.#documents.get(documentKey(machineKind, masterId)) === undefined
        ? []
        : [
            { do: 'delete', key: documentKey(machineKind, masterId) },
            { do: 'delete', key: documentNameKey(machineKind, masterId) },
          ]
    return { compare, success: [...success, ...promotions, ...document] }
  }

  #agentOf(masterId: string): string | undefined {
    const written = this.#documents.get(documentKey(machineKind, masterId))?.record.body
    const [promoted] = this.#promotionsOf(masterId)
    return promoted?.record.agent ?? MachineBody.safeParse(written).data?.agent
  }

  #promotionsOf(masterId: string): readonly { key: string; record: PromotionRecord }[] {
    return this.#promotions
      .list(promotionPrefix)
      .filter(({ record }) => record.master?.masterId === masterId)
  }
}
