import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Log } from './log.ts'

/**
 * A short way for what is asked most often: it answers a request before the framework hears of it, or
 * leaves it. The framework's part of a small answer costs as much as the rest of HTTP. A lane takes only what
 * it knows to the last letter, and answers it as the route behind it would.
 *
 * @returns whether it took the request
 */
export type Lane = (request: IncomingMessage, response: ServerResponse) => boolean

/** What a lane is given by whoever listens, since no hook of the framework runs for it. */
export interface LaneHost {
  /** Does it now, or in a later turn of the event loop. */
  readonly run: (work: () => void) => void
  /** Told once an answer was sent. */
  readonly onAnswered: (method: string, status: number, seconds: number) => void
  readonly log: Pick<Log, 'error'>
}

/** Puts `lane` before all who listen for requests at `server`. After the answer was called it takes none. */
export function putLane(server: Server, lane: Lane | undefined): () => void {
  if (lane === undefined) return () => undefined
  const behind = server.listeners('request') as ((...told: Parameters<Lane>) => void)[]
  let isOpen = true
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    if (isOpen && lane(request, response)) return
    for (const listener of behind) listener.call(server, request, response)
  })
  return () => {
    isOpen = false
  }
}
