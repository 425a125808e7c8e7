/* One event as the Engine tells it. Source: docker-swarm.md A10. */

export type EventType = 'container' | 'service' | 'secret' | 'config' | 'network' | 'node'

export interface EngineEvent {
  readonly type: EventType
  readonly action: string
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
  /** `local`: of one machine's containers. */
  readonly scope: 'swarm' | 'local'
  /** Nanoseconds since 1970: no number of JavaScript's holds them. */
  readonly atNs: bigint
}

/** An event before it has its time. */
export interface Told extends Omit<EngineEvent, 'atNs'> {
  /** Whose words are in it: nobody else hears it but whose socket it is. */
  readonly by?: string
}

/** As one line of JSON, with the nanoseconds as digits. */
export function eventLine(event: EngineEvent): Buffer {
  const { type, action, id, attributes, scope, atNs } = event
  const legacy = type === 'container' ? { status: action, id, from: attributes['image'] ?? '' } : {}
  const text = JSON.stringify({
    ...legacy,
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope,
    time: Number(atNs / 1_000_000_000n),
  })
  return Buffer.from(`${text.slice(0, -1)},"timeNano":${atNs}}\n`)
}
