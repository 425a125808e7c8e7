export {
  FileSystemError,
  posixErrors,
  type Credentials,
  type FileHandle,
  type FileKind,
  type FileStat,
  type FileSystem,
  type OpenOptions,
  type PosixErrorCode,
} from './file-system.ts'
export type { Limits, Mount, User } from './kernel.ts'
export {
  Machine,
  MachineNotRunning,
  TooManyProcesses,
  type Exit,
  type MachineOptions,
  type MachineState,
  type ProcessOptions,
  type StartedProcess,
  type StdinWriter,
} from './machine.ts'
export type { Network, NetworkAnswer, NetworkRequest } from './network.ts'
export { OutputGate } from './output-gate.ts'
export { signalName, signalNumber, type SignalName } from './signals.ts'
export type { TerminalSize } from './terminal.ts'
