import type { EventTap, SeenEvent } from './event-tap.ts'

type Row = readonly [step: string, where: string, form: string, knownBy: string]

/**
 * The steps of docs/architecture.md's picture, each with the event that shows it happened. A step
 * that no event speaks of is marked with a dash, and the tour fails.
 */
export function journeyOf(tap: EventTap, path: string, sizeBytes: number): readonly Row[] {
  const about = { path }
  const placed = tap.find('secret.placed', about)
  const task = placed?.taskId === undefined ? {} : { taskId: placed.taskId }
  const sealed = tap.find('secret.sealed', about)
  const stored = tap.find('secret.stored', about)
  return [
    ['parse', 'the face of one master', 'plain, Redacted', by(sealed)],
    ['seal', 'that master, then wiped', `sealed, ${sizeBytes} bytes AES-256-GCM`, by(sealed)],
    ['journal', 'three disks', 'sealed twice', by(tap.find('raft.appended'))],
    ['commit', 'the store of each master', 'sealed', by(stored)],
    ['refer', 'the TaskInfo', 'absent: a name', by(tap.find('task.launched', task))],
    [
      'grant',
      'the store',
      'absent: path and version',
      by(tap.find('grant.issued', { ...about, ...task })),
    ],
    [
      'release',
      'the leader, then wiped',
      'plain, then boxed',
      by(tap.find('secret.released', { ...about, ...task })),
    ],
    [
      'resolve',
      'the agent link',
      'boxed to the container',
      by(tap.find('secret.resolved', { ...about, ...task })),
    ],
    ['place', `tmpfs of the container`, 'plain, 0400', by(placed)],
    ['forget', 'nowhere', 'gone', by(tap.find('secret.forgotten', task))],
  ]
}

const by = (event: SeenEvent | undefined): string =>
  event === undefined ? '—' : `${event.type} (${event.source})`
