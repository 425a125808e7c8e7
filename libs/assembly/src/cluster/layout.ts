import { join } from 'node:path'

/*
 * What lies where in a cluster's directory. Each member has a directory of its own, which could as
 * well be on a machine of its own: nothing in it refers to another's.
 *
 *   cluster.json                     id and members; written last, so what has it is whole
 *   addresses.json                   where every master listened the last time
 *   masters/<id>/                    ca.pem, identity.pem, kek.key, journal.keys, first-identities.json, ca.key.wrapped
 *                                    engine.json where the state is in an etcd, and lock while it runs; else journal/
 *   agents/<id>/                     ca.pem, identity.pem
 *   schedulers/<id>/                 account.key; framework.json once it was subscribed
 *   run/<id>.json, logs/<id>.log     configuration and output of members that are processes
 */

export const manifestFile = (directory: string): string => join(directory, 'cluster.json')
export const addressesFile = (directory: string): string => join(directory, 'addresses.json')
/** Stands while the directory is being filled: all below it may then be made anew. */
export const unfinishedFile = (directory: string): string => join(directory, 'unfinished')

export const masterDirectory = (directory: string, id: string): string =>
  join(directory, 'masters', id)
export const agentDirectory = (directory: string, id: string): string =>
  join(directory, 'agents', id)
export const schedulerDirectory = (directory: string, id: string): string =>
  join(directory, 'schedulers', id)
export const runDirectory = (directory: string): string => join(directory, 'run')
export const logFile = (directory: string, id: string): string =>
  join(directory, 'logs', `${id}.log`)

/** What {@link prepareCluster} fills, and nothing else. */
export const filledDirectories = ['masters', 'agents', 'schedulers'] as const
