import {
  Conflict,
  OutcomeUnknown,
  StateDigest,
  type Compare,
  type KeyOp,
  type SecretStore,
  type StateRecord,
} from '@conclave/store'
import { utf8, utf8Text } from '@conclave/kernel'
import { z } from 'zod'
import { TargetNotEmpty, TransferDiffers } from './errors.ts'
import { StateManifest, type StateSource } from './state-source.ts'

/** Stands in the target for as long as it holds a part of a state. It is above all keys of ours. */
export const progressKey = 'transfer/progress'

/** How far a copy has come. */
const Progress = z.object({
  manifest: StateManifest,
  /** The last key that is there. */
  after: z.string().optional(),
  count: z.int().nonnegative(),
})
type Progress = Readonly<z.infer<typeof Progress>>

export interface CopyReport {
  readonly manifest: StateManifest
  readonly recordCount: number
  readonly digest: string
  /** How many of them an earlier run had copied. */
  readonly resumedAt: number
}

/** The state that a half-done copy in `target` is of; undefined when there is none. @throws TargetNotEmpty */
export async function copyUnderWay(target: SecretStore): Promise<StateManifest | undefined> {
  return (await progressIn(target))?.progress.manifest
}

/**
 * Copies a state into a store that holds nothing else. A run that was interrupted is gone on with, if it
 * is of the same revision of the same cluster; at the end what is there is read again and compared.
 *
 * @throws TargetNotEmpty, TransferDiffers, and whatever source and target throw: it can then be run again
 */
export async function copyState(
  source: StateSource,
  target: SecretStore,
  onProgress: (count: number) => void = () => undefined,
): Promise<CopyReport> {
  const { manifest } = source
  const known = await progressIn(target)
  if (known !== undefined && !isSame(known.progress.manifest, manifest)) {
    throw new TargetNotEmpty(
      `the target holds a part of revision ${known.progress.manifest.revision} of cluster ` +
        `${known.progress.manifest.clusterId}; finish that, or discard it first`,
    )
  }
  const resumedAt = known?.progress.count ?? 0
  const writer = new Writer(target, known ?? { progress: { manifest, count: 0 }, modRevision: 0 })
  if (known === undefined) await writer.begin()
  const sent = new StateDigest()
  for await (const record of source.records()) {
    sent.add(record)
    if (sent.count <= resumedAt) continue
    await writer.add(record)
    onProgress(sent.count)
  }
  await writer.flush()
  const recordCount = sent.count
  const digest = sent.end()
  const arrived = await digestOf(target)
  if (arrived.count !== recordCount || arrived.digest !== digest) {
    throw new TransferDiffers(
      `${recordCount} records were sent and ${arrived.count} are there, or they differ: discard and copy again`,
    )
  }
  await writer.end()
  return { manifest, recordCount, digest, resumedAt }
}

/** Removes what an interrupted copy has left. Answers how many keys that were. @throws TargetNotEmpty */
export async function discardCopy(target: SecretStore): Promise<number> {
  const known = await progressIn(target)
  if (known === undefined) return 0
  let count = 0
  for (;;) {
    const { kvs } = await target.list('', { limit: 100, keysOnly: true })
    const keys = kvs.map(({ key }) => key).filter((key) => key !== progressKey)
    if (keys.length === 0) break
    await target.txn({ compare: [], success: keys.map((key) => ({ do: 'delete', key })) })
    count += keys.length
  }
  // Last, so that what is left is known for what it is until nothing is.
  await target.delete(progressKey)
  return count
}

/** Count and digest of all that is in a store, but for the mark of a copy. */
export async function digestOf(
  store: SecretStore,
): Promise<{ readonly count: number; readonly digest: string }> {
  const all = new StateDigest()
  for await (const record of recordsOf(store)) all.add(record)
  return { count: all.count, digest: all.end() }
}

/** All keys of one revision, in order, without those under leases. @throws Compacted when that takes too long */
export async function* recordsOf(store: SecretStore, at?: number): AsyncGenerator<StateRecord> {
  let after: string | undefined
  let revision = at
  for (;;) {
    const page = await store.list('', {
      limit: 200,
      ...(after !== undefined && { after }),
      ...(revision !== undefined && { at: revision }),
    })
    revision = page.revision
    for (const { lease, ...record } of page.kvs) {
      if (lease === undefined && record.key !== progressKey) yield record
    }
    after = page.kvs.at(-1)?.key
    if (!page.more) return
  }
}

interface Known {
  readonly progress: Progress
  readonly modRevision: number
}

async function progressIn(target: SecretStore): Promise<Known | undefined> {
  const mark = await target.get(progressKey)
  if (mark !== undefined) {
    const parsed = Progress.safeParse(tryJson(mark.value))
    if (parsed.success) return { progress: parsed.data, modRevision: mark.modRevision }
    throw new TargetNotEmpty('the target holds a part of something that this build does not know')
  }
  const { kvs } = await target.list('', { limit: 1, keysOnly: true })
  if (kvs.length === 0) return undefined
  throw new TargetNotEmpty('the target is not empty, and holds no half-done copy')
}

/** Puts records in transactions that move the mark along: what the mark says is there, is there. */
class Writer {
  readonly #target: SecretStore
  readonly #opsMax: number
  readonly #sizeBytesMax: number
  #known: Known
  #ops: KeyOp[] = []
  #sizeBytes = 0
  #last: string | undefined

  constructor(target: SecretStore, known: Known) {
    const { txnOpsMax, txnSizeBytesMax } = target.traits.limits
    this.#target = target
    this.#known = known
    this.#opsMax = txnOpsMax - 1
    // Some of it is the mark's.
    this.#sizeBytesMax = txnSizeBytesMax - 16 * 1024
  }

  begin(): Promise<void> {
    return this.#commit([], this.#known.progress)
  }

  async add({ key, value }: StateRecord): Promise<void> {
    const sizeBytes = key.length * 3 + value.length + 64
    const isFull =
      this.#ops.length >= this.#opsMax || this.#sizeBytes + sizeBytes > this.#sizeBytesMax
    if (isFull) await this.flush()
    this.#ops.push({ do: 'put', key, value })
    this.#sizeBytes += sizeBytes
    this.#last = key
  }

  async flush(): Promise<void> {
    if (this.#ops.length === 0 || this.#last === undefined) return
    const { manifest, count } = this.#known.progress
    const ops = this.#ops
    await this.#commit(ops, { manifest, after: this.#last, count: count + ops.length })
    this.#ops = []
    this.#sizeBytes = 0
  }

  async end(): Promise<void> {
    await this.#target.delete(progressKey, { ifModRevision: this.#known.modRevision })
  }

  async #commit(ops: readonly KeyOp[], progress: Progress): Promise<void> {
    const mark = { do: 'put', key: progressKey, value: utf8(JSON.stringify(progress)) } as const
    const { modRevision } = this.#known
    const compare: Compare[] = [
      { key: progressKey, target: 'modRevision', is: '=', operand: modRevision },
    ]
    try {
      const { succeeded, revision } = await this.#target.txn({ compare, success: [...ops, mark] })
      if (!succeeded) throw new Conflict(progressKey, modRevision)
      this.#known = { progress, modRevision: revision }
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error
      // The mark says what became of it.
      const now = await progressIn(this.#target)
      if (now?.progress.count !== progress.count) throw error
      this.#known = now
    }
  }
}

const isSame = (a: StateManifest, b: StateManifest): boolean =>
  a.clusterId === b.clusterId && a.revision === b.revision

function tryJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8Text(bytes))
  } catch {
    return undefined
  }
}
