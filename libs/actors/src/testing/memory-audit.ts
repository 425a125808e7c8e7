import type { AuditRecord } from '@conclave/model'
import type { AuditSink } from '../ports.ts'

/** Keeps what was put on record, and can be made to fail as a full disk does. */
export class MemoryAudit implements AuditSink {
  readonly records: AuditRecord[] = []
  isBroken = false
  /** Runs before each record is kept: for what happens while a disk is busy. */
  onAppend: () => void | Promise<void> = () => undefined

  async append(record: AuditRecord): Promise<void> {
    await this.onAppend()
    if (this.isBroken) throw new Error('the audit disk is full')
    this.records.push(record)
  }
}
