import { setting } from '@conclave/runtime'
import { z } from 'zod'
import { MasterAddress } from '../cluster/addresses.ts'
import { commonSettings } from './run-app.ts'

/** What every member of a cluster is told: where its own files are, and where the masters are. */
export const memberSettings = {
  ...commonSettings,
  dataDirectory: setting(
    z.string().min(1),
    'the directory that was prepared for this member, such as cluster/masters/master-1',
  ),
  masters: setting(
    z
      .array(MasterAddress)
      .min(1)
      .refine(
        (masters) => new Set(masters.map(({ masterId }) => masterId)).size === masters.length,
      ),
    'a JSON list of all masters: {"masterId","nodeId","host","ports":{"peers","agents","join","conclave","dcos","mesos"}}',
  ),
} as const
