export {
  copyState,
  copyUnderWay,
  digestOf,
  discardCopy,
  progressKey,
  recordsOf,
  type CopyReport,
} from './copy-state.ts'
export { ExportUnreadable, PassphraseTooShort, TargetNotEmpty, TransferDiffers } from './errors.ts'
export {
  readExport,
  verifyExport,
  writeExport,
  type ExportItem,
  type ExportSummary,
} from './export-file.ts'
export { scryptCost, type ExportLock, type ExportUnlock } from './export-key.ts'
export { StateManifest, type StateSource } from './state-source.ts'
