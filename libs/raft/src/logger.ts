export type RaftLogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** Where the lines of reference raft.md §5.4 go. They name ids, terms and indexes, never data. */
export interface RaftLogger {
  log(level: RaftLogLevel, text: string): void
}

export const silentLogger: RaftLogger = { log: () => {} }
