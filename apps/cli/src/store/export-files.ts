import { createReadStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { invariant } from '@conclave/kernel'
import { syncDirectory } from '@conclave/runtime'
import type { StateRecord } from '@conclave/store'
import {
  readExport,
  type ExportSummary,
  type ExportUnlock,
  type StateSource,
} from '@conclave/transfer'
import { CommandFailed } from '../failure.ts'

/** Writes all of `pieces` to a new file, readable by its owner alone: whole, or not at all. */
export async function writeNewFile(
  file: string,
  pieces: AsyncIterable<Uint8Array>,
): Promise<number> {
  const beside = `${file}.partial`
  await rm(beside, { force: true })
  const handle = await open(beside, 'wx', 0o600).catch((cause: unknown) => {
    const { code = 'unusable' } = cause as { code?: string }
    throw new CommandFailed('usage', `${beside} cannot be written (${code})`, { cause })
  })
  let sizeBytes = 0
  try {
    try {
      for await (const piece of pieces) {
        await handle.writeFile(piece)
        sizeBytes += piece.length
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(beside, file)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  await syncDirectory(dirname(file))
  return sizeBytes
}

export interface OpenedExport {
  readonly source: StateSource
  readonly summary: ExportSummary
}

/** An export that was read to its end and is whole. It is read again for its records. */
export async function openExport(file: string, unlock: ExportUnlock): Promise<OpenedExport> {
  let keyring: StateSource['keyring']
  const items = readExport(piecesOf(file), unlock)
  for (;;) {
    const next = await items.next()
    if (next.done !== true) {
      if (next.value.kind === 'keyring') ({ keyring } = next.value)
      continue
    }
    const summary = next.value
    const { manifest } = summary
    return {
      summary,
      source: { manifest, keyring, records: () => recordsIn(file, unlock, summary) },
    }
  }
}

async function* recordsIn(
  file: string,
  unlock: ExportUnlock,
  { digest }: ExportSummary,
): AsyncGenerator<StateRecord> {
  const items = readExport(piecesOf(file), unlock)
  for (;;) {
    const next = await items.next()
    if (next.done === true) {
      invariant(next.value.digest === digest, 'the file is still the one that was read before')
      return
    }
    if (next.value.kind === 'record') yield next.value.record
  }
}

async function* piecesOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      yield piece as Buffer
    }
  } catch (cause) {
    const { code } = cause as { code?: string }
    if (code === undefined) throw cause
    throw new CommandFailed('notFound', `${file} cannot be read (${code})`, { cause })
  }
}
