import { ConclaveError } from '@conclave/kernel'

/** Where a Redis is, and how to log in there. */
export interface RedisAddress {
  readonly socket:
    | { readonly path: string }
    | { readonly host: string; readonly port: number; readonly tls: boolean }
  readonly username?: string
  readonly password?: string
  readonly database?: number
}

/** A text that names no Redis. It may hold a password, so it is not repeated. */
export class RedisAddressInvalid extends ConclaveError {
  readonly code = 'peer-redis.address-invalid'

  constructor(why: string) {
    super(
      `${why}: write redis://host:6379, rediss://user:password@host:6380/0 or unix:///run/redis.sock`,
    )
  }
}

/** @throws RedisAddressInvalid */
export function parseRedisAddress(text: string): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw new RedisAddressInvalid('this is no URL')
  const login = {
    ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
    ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
  }
  if (url.protocol === 'unix:') {
    if (url.pathname === '') throw new RedisAddressInvalid('a unix: address names a path')
    return { socket: { path: decodeURIComponent(url.pathname) }, ...login }
  }
  const isTls = url.protocol === 'rediss:'
  if (!isTls && url.protocol !== 'redis:') {
    throw new RedisAddressInvalid(`${url.protocol}// is not the address of a Redis`)
  }
  if (url.hostname === '') throw new RedisAddressInvalid('a host is missing')
  const [, database = ''] = /^\/(\d{0,4})$/.exec(url.pathname === '' ? '/' : url.pathname) ?? [
    '',
    undefined,
  ]
  if (url.pathname.length > 1 && database === '') {
    throw new RedisAddressInvalid('the path is the number of a database')
  }
  return {
    socket: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 6379 : Number(url.port),
      tls: isTls,
    },
    ...login,
    ...(database !== '' && { database: Number(database) }),
  }
}
