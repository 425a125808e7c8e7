export {
  describeReport,
  rewriteScript,
  runCorpus,
  type CorpusFile,
  type CorpusOptions,
  type CorpusReport,
  type Difference,
} from './corpus.ts'
export { parseScript, ScriptMalformed, type Directive, type Script } from './directive.ts'
export type { TraceEvent } from './trace.ts'
