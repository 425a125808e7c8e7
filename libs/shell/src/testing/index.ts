export { MemoryFileSystem } from './memory-file-system.ts'
export {
  outcomeOf,
  record,
  Recording,
  runScript,
  runToEnd,
  testMachine,
  type Outcome,
  type RunOptions,
  type TestMachine,
} from './run-script.ts'
