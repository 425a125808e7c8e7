import { Redacted } from '@conclave/kernel'
import type { Authenticated, IdentityApi } from './master-api.ts'

/**
 * Whose request this is, by its `Authorization` header: `token=<jwt>` as DC/OS writes it, `Bearer
 * <jwt>`, or `Basic <base64 of uid:password>`. One reading for all faces, so that no header is
 * understood differently on two of them. Undefined when there is none or it does not hold.
 *
 * @param source the address that the request came from
 * @throws LoginThrottled
 */
export async function principalOf(
  identity: IdentityApi,
  authorization: string | undefined,
  source: string,
): Promise<Authenticated | undefined> {
  if (authorization === undefined) return undefined
  const token = /^(?:token=|Bearer )([\w-]+\.[\w-]+\.[\w-]+)$/.exec(authorization)?.[1]
  if (token !== undefined) return identity.authenticate(token)

  const basic = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(authorization)?.[1]
  if (basic === undefined) return undefined
  const credentials = Buffer.from(basic, 'base64')
  const colon = credentials.indexOf(':')
  if (colon < 1) return undefined
  const uid = credentials.subarray(0, colon).toString('utf8')
  const password = new Redacted(new Uint8Array(credentials.subarray(colon + 1)))
  credentials.fill(0)
  return identity.authenticatePassword(uid, password, source)
}
