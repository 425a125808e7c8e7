import { agentSettings, memberSettings } from '@conclave/assembly'

/** What an agent can be told. */
export const settings = { ...memberSettings, ...agentSettings } as const
