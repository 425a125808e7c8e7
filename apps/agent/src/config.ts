import { memberSettings, usualResources } from '@conclave/assembly'
import { setting } from '@conclave/runtime'
import { z } from 'zod'

/** What an agent can be told. */
export const settings = {
  ...memberSettings,
  hostname: setting(
    z.string().max(255),
    "the host name that frameworks are shown; empty for the agent's own name",
    '',
  ),
  resources: setting(
    z.record(z.string().regex(/^[\w.-]+$/), z.number().nonnegative()),
    'what it offers: a JSON object of scalars by name',
    usualResources as Readonly<Record<string, number>>,
  ),
} as const
