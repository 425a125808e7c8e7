import type { Random } from '@conclave/kernel'
import type { FirstIdentities } from '../master/founding.ts'
import type { Caller } from '../master/master-api.ts'
import { cheapPasswordHash } from './memory-cluster.ts'

export const rootPassword = 'correct horse battery staple'

/**
 * `root` may do everything, `dev` has its own folder, `scheduler` launches tasks, and `nobody` was
 * given nothing.
 */
export async function firstPeople(random: Random): Promise<FirstIdentities> {
  const passwordHash = await cheapPasswordHash(rootPassword, random)
  return {
    users: [
      { ...person('root'), passwordHash },
      { ...person('dev'), passwordHash },
      { ...person('scheduler'), isService: true },
      person('nobody'),
    ],
    permissions: [
      { uid: 'root', rid: 'dcos:superuser', actions: ['full'] },
      { uid: 'dev', rid: 'dcos:secrets:default:/dev/*', actions: ['full'] },
      { uid: 'dev', rid: 'dcos:mesos:master:task', actions: ['create'] },
      { uid: 'scheduler', rid: 'dcos:secrets:default:/*', actions: ['read'] },
      { uid: 'scheduler', rid: 'dcos:mesos:master:framework', actions: ['create'] },
      { uid: 'scheduler', rid: 'dcos:mesos:master:task', actions: ['create'] },
      { uid: 'scheduler', rid: 'dcos:conclave:scheduling', actions: ['full'] },
    ],
  }
}

const person = (uid: string): FirstIdentities['users'][number] => ({
  uid,
  description: '',
  isService: false,
})

/** A request of somebody whose token was checked. */
export const callerOf = (uid: string, requestId = 'request-1'): Caller => ({
  principal: { uid },
  requestId,
})
