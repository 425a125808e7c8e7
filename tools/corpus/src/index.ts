export { corpusDirectory, runDirectory, type Outcome } from './corpus.ts'
