export {
  certificateCredentials,
  sharedKeyCredentials,
  SharedKeyTooShort,
  type Credentials,
  type Proof,
} from './credentials.ts'
export { parseRedisAddress, RedisAddressInvalid, type RedisAddress } from './redis-address.ts'
export { RedisPeerLink, type RedisPeerKnown, type RedisPeerLinkOptions } from './redis-peer-link.ts'
