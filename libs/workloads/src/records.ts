import { z } from 'zod'
import { isJob, WorkloadSpec } from './spec.ts'

/*
 * Where the records are, below `workloads/`, each JSON and written whole (docs/formats/records.md):
 *
 *   workloads/spec/<workload id>                   what is wanted
 *   workloads/job/<workload id>                    the same of a job
 *   workloads/status/<workload id>                 how the latest update goes
 *   workloads/template/<workload id>/<version>     what tasks were made from, as long as there are any
 *   workloads/task/<workload id>/<id>
 *   workloads/name/<name in lower case>            the id of the workload that has this name
 *   workloads/node/<node name>                     what people say of a node
 *   workloads/secrets-used                         a mark, put whenever a spec refers to a secret that it did not before
 *
 * Ids have no slash in them; a name may, and is therefore the last. Jobs have a place of their own, since masters
 * that do not know them would read none of the others any more (docs/adr/0040-jobs-apart.md).
 */

export const specPrefix = 'workloads/spec/'
export const jobPrefix = 'workloads/job/'
export const statusPrefix = 'workloads/status/'
const templatePrefix = 'workloads/template/'
export const taskPrefix = 'workloads/task/'
export const nodePrefix = 'workloads/node/'

/** Where the record of a workload is. It stays there: what is a job stays one. */
export const workloadKey = (workloadId: string, spec: Pick<WorkloadSpec, 'mode'>): string =>
  (isJob(spec) ? jobPrefix : specPrefix) + workloadId
/** Whose record is at `key`, if a workload's is. */
export const workloadIdAt = (key: string): string | undefined =>
  [specPrefix, jobPrefix]
    .filter((prefix) => key.startsWith(prefix))
    .map((prefix) => key.slice(prefix.length))[0]
export const statusKey = (workloadId: string): string => statusPrefix + workloadId
export const tasksOfPrefix = (workloadId: string): string => `${taskPrefix}${workloadId}/`
export const taskKey = (workloadId: string, id: string): string => tasksOfPrefix(workloadId) + id
export const templatesOfPrefix = (workloadId: string): string => `${templatePrefix}${workloadId}/`
export const templateKey = (workloadId: string, version: number): string =>
  templatesOfPrefix(workloadId) + version
export const nameKey = (name: string): string => `workloads/name/${name.toLowerCase()}`
export const secretsUsedKey = 'workloads/secrets-used'
export const nodeKey = (nodeName: string): string => nodePrefix + nodeName

/** The spec with which a template came. */
export const TemplateRecord = z.object({ spec: WorkloadSpec })
export type TemplateRecord = Readonly<z.infer<typeof TemplateRecord>>

export const NameRecord = z.object({ workloadId: z.string().min(1).max(255) })
