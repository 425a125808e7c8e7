export { anyCommand, anyKeyTxn } from './arbitrary-command.ts'
export { MemoryStore } from './memory-store.ts'
export { NaiveStore } from './naive-store.ts'
