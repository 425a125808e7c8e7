export {
  Conclave,
  repository,
  runProgram,
  type Master,
  type Outcome,
  type Ready,
} from './conclave.ts'
