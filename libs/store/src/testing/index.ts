export { anyCommand } from './arbitrary-command.ts'
export { NaiveStore } from './naive-store.ts'
