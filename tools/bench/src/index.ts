export type { Report, Result } from './result.ts'
