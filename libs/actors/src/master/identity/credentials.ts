import { Redacted } from '@conclave/kernel'
import type { Authenticated, IdentityApi } from '../master-api.ts'

/**
 * Whose request this is, by its `Authorization` header: `token=<jwt>` as DC/OS writes it, `Bearer
 * <jwt>`, or `Basic <base64 of uid:password>`. One reading for all faces, so that no header is
 * understood differently on two of them. Undefined when there is none or it does not hold. Answers at
 * once for a token that is remembered, as nearly every request's is.
 *
 * @param source the address that the request came from
 * @throws LoginThrottled
 */
export function principalOf(
  identity: IdentityApi,
  authorization: string | undefined,
  source: string,
): Authenticated | undefined | Promise<Authenticated | undefined> {
  if (authorization === undefined) return undefined
  const token = /^(?:token=|Bearer )([\w-]+\.[\w-]+\.[\w-]+)$/.exec(authorization)?.[1]
  if (token !== undefined) return identity.remembered(token) ?? identity.authenticate(token)

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
