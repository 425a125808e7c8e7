import { readFileSync } from 'node:fs'

/**
 * What a process has sent to the disk so far, in whole pages, as Linux tells it (proc(5), `io`); undefined
 * elsewhere, and for processes of others.
 */
export function writtenBytes(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  const [, bytes] = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8')) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}
