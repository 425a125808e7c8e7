export { mutants, type Mutant } from './table.ts'
