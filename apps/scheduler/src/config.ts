import { memberSettings } from '@conclave/assembly'
import { Uid } from '@conclave/model'
import { setting } from '@conclave/runtime'
import { z } from 'zod'

/** What a scheduler can be told. */
export const settings = {
  ...memberSettings,
  account: setting(
    Uid,
    'the name of its service account: letters, digits and any of _ . @ + -',
    'scheduler-1',
  ),
  name: setting(z.string().min(1).max(255), 'the name of its framework', 'conclave'),
  failoverTimeoutSeconds: setting(
    z.number().nonnegative(),
    'for how many seconds its tasks go on without it',
    7 * 24 * 3600,
  ),
} as const
