export {
  AgentEvent,
  eventFields,
  type ConclaveEvent,
  type EventDraft,
  type EventType,
} from './event.ts'
