export {
  Candidate,
  CandidateNotRunning,
  RedisUnreachable,
  type CandidateEvents,
  type Instance,
  type ReceivedMessage,
} from './candidate.ts'
export { CandidateOptionsInvalid, type CandidateOptions } from './candidate-options.ts'
export type { CandidateState } from './group-message.ts'
