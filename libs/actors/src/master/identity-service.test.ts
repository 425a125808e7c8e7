import { generateKeyPairSync, createSign } from 'node:crypto'
import { parseTokenKey, sealEnvelope, signToken, unwrapKeyring } from '@conclave/crypto'
import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import { superuserResource } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster, MemoryTokenKeys } from '../testing/memory-cluster.ts'
import { firstPeople, rootPassword } from '../testing/people.ts'
import { principalOf } from './credentials.ts'
import { aclKey, userKey, type AclRecord } from './identity-records.ts'
import { tokenLifetimeSeconds, type IdentityService } from './identity-service.ts'
import { keyringKey, tokenKeyKey, tokenKeyPlace } from './master-records.ts'
import { encodeRecord } from './record.ts'

const password = (text: string): RedactedBytes => new Redacted(utf8(text))
const service = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

let clock: ManualClock
let cluster: MemoryCluster
let identity: IdentityService

beforeEach(async () => {
  clock = new ManualClock()
  const random = new SeededRandom(3)
  const people = await firstPeople(random)
  cluster = new MemoryCluster({
    clock,
    random,
    identities: {
      users: [
        ...people.users,
        { uid: 'robot', description: '', isService: true, publicKey: service.publicKey },
      ],
      permissions: people.permissions,
    },
  })
  await cluster.elected()
  identity = cluster.follower.actor.identity
})

const login = (uid: string, text: string): Promise<string | undefined> =>
  cluster.settle(identity.login(uid, password(text)))

const claims = (token: string): { uid: string; exp: number } =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
    uid: string
    exp: number
  }

const loginToken = (uid: string, lifetimeSeconds: number): string => {
  const exp = Math.floor(clock.nowMs() / 1000) + lifetimeSeconds
  const signed = [
    { alg: 'RS256', typ: 'JWT' },
    { uid, exp },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = createSign('RSA-SHA256').update(signed).sign(service.privateKey, 'base64url')
  return `${signed}.${signature}`
}

describe('a login', () => {
  test('MA7: gives a token that every master accepts, for five days', async () => {
    const before = Math.floor(clock.nowMs() / 1000)
    const token = (await login('root', rootPassword)) ?? ''
    const { uid, exp } = claims(token)
    expect(uid).toBe('root')
    expect(exp).toBeGreaterThanOrEqual(before + tokenLifetimeSeconds)
    expect(exp).toBeLessThanOrEqual(clock.nowMs() / 1000 + tokenLifetimeSeconds)
    for (const { actor } of cluster.masters) {
      expect(await actor.identity.authenticate(token)).toEqual({ uid: 'root', isSuperuser: true })
    }
    clock.advance(tokenLifetimeSeconds * 1000)
    expect(await identity.authenticate(token)).toBeUndefined()
  })

  test.each([
    ['root', 'wrong'],
    ['root', ''],
    ['stranger', rootPassword],
    ['nobody', rootPassword],
    ['robot', rootPassword],
    ['__proto__', rootPassword],
  ])('MA7: of %s with the password %j is refused, on record', async (uid, text) => {
    const bytes = password(text)
    expect(await cluster.settle(identity.login(uid, bytes))).toBeUndefined()
    expect(bytes.reveal().every((byte) => byte === 0)).toBe(true)
    expect(cluster.follower.audit.records.at(-1)).toMatchObject({
      action: 'login',
      outcome: 'denied',
    })
  })

  test('does not write down a name that nobody has: it may be a password in the wrong field', async () => {
    await login('my-s3cr3t-password', 'x')
    expect(JSON.stringify(cluster.follower.audit.records)).not.toContain('my-s3cr3t')
  })

  test('S3: gives no token that is not on record', async () => {
    cluster.follower.audit.isBroken = true
    await expect(login('root', rootPassword)).rejects.toThrow('full')
  })
})

test('nobody is refused by a cluster that does not know its users yet', async () => {
  const random = new SeededRandom(5)
  const early = new MemoryCluster({ clock, random, identities: await firstPeople(random) })
  const asked = early.masters.map(({ actor }) =>
    actor.identity.login('root', password(rootPassword)),
  )
  const came = await early.settle(Promise.allSettled(asked))
  const answers = came.map((one) =>
    one.status === 'fulfilled' ? typeof one.value : (one.reason as { code: string }).code,
  )
  expect(answers.filter((one) => one !== 'string' && one !== 'cluster.unavailable')).toEqual([])
})

describe('a token', () => {
  test('of another key, or with another algorithm, is nobody’s', async () => {
    const exp = Math.floor(clock.nowMs() / 1000) + 60
    const foreign = await signToken(parseTokenKey(password(service.privateKey)), {
      uid: 'root',
      exp,
    })
    expect(await identity.authenticate(foreign)).toBeUndefined()
    const head = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
    const body = Buffer.from(JSON.stringify({ uid: 'root', exp })).toString('base64url')
    expect(await identity.authenticate(`${head}.${body}.`)).toBeUndefined()
  })

  test('verifies with the public key that is given away', async () => {
    const token = (await login('dev', rootPassword)) ?? ''
    const { keys } = await identity.jwks()
    expect(keys).toMatchObject([{ kty: 'RSA', alg: 'RS256', use: 'sig' }])
    expect(JSON.stringify(keys)).not.toContain('"d"')
    expect(token.split('.')).toHaveLength(3)
  })
})

const commit = async (key: string, value: Uint8Array | undefined): Promise<void> => {
  const op =
    value === undefined ? { do: 'delete' as const, key } : { do: 'put' as const, key, value }
  const { revision } = await cluster.settle(
    cluster.leader.replica.propose({ compare: [], success: [op] }),
  )
  await cluster.until(() => cluster.masters.every(({ store }) => store.revision >= revision))
}

describe('a token that is remembered', () => {
  let token: string
  beforeEach(async () => {
    token = (await login('dev', rootPassword)) ?? ''
    await identity.authenticate(token)
  })

  test('MA16: is nobody’s with its signature or its claims changed', async () => {
    const [head = '', body = '', signature = ''] = token.split('.')
    const { exp } = claims(token)
    const other = Buffer.from(JSON.stringify({ uid: 'root', exp })).toString('base64url')
    expect(await identity.authenticate(`${head}.${other}.${signature}`)).toBeUndefined()
    const flipped = (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1)
    expect(await identity.authenticate(`${head}.${body}.${flipped}`)).toBeUndefined()
    expect(await identity.authenticate(token)).toMatchObject({ uid: 'dev' })
  })

  test('MA16: is nobody’s once its user is gone', async () => {
    await commit(userKey('dev'), undefined)
    expect(await identity.authenticate(token)).toBeUndefined()
  })

  test('MA16: gives what its user may do now, not what they might do when it was checked', async () => {
    const everything: AclRecord = { description: '', users: { dev: ['full'] }, groups: {} }
    await commit(aclKey(superuserResource), encodeRecord(everything))
    expect(await identity.authenticate(token)).toEqual({ uid: 'dev', isSuperuser: true })
    await commit(aclKey(superuserResource), undefined)
    expect(await identity.authenticate(token)).toEqual({ uid: 'dev', isSuperuser: false })
  })

  test('MA16: is nobody’s once the cluster signs with another key', async () => {
    const { clusterId, kek, leader } = cluster
    const wrapped = leader.store.get(keyringKey)?.value ?? new Uint8Array()
    const dek = unwrapKeyring({ kek, clusterId, wrapped }).newest
    const plaintext = password(service.privateKey)
    const random = new SeededRandom(4)
    await commit(tokenKeyKey, sealEnvelope({ clusterId, ...tokenKeyPlace, dek, plaintext, random }))
    expect(await identity.authenticate(token)).toBeUndefined()
  })
})

describe('a service account', () => {
  test('logs in with a token that it signed itself', async () => {
    const token = await cluster.settle(identity.loginService('robot', loginToken('robot', 300)))
    expect(await identity.authenticate(token ?? '')).toMatchObject({ uid: 'robot' })
  })

  test.each([
    ['another account’s token', 'scheduler', 'robot', 300],
    ['a token for another', 'robot', 'root', 300],
    ['an expired token', 'robot', 'robot', -1],
    ['a token that lives too long', 'robot', 'robot', 7200],
    ['a user who is no service', 'root', 'root', 300],
  ])('is refused with %s', async (_what, uid, claimed, lifetime) => {
    const tried = identity.loginService(uid, loginToken(claimed, lifetime))
    expect(await cluster.settle(tried)).toBeUndefined()
  })

  test('threat:AU-02: nobody becomes a service with a token that this cluster signed', async () => {
    const exp = Math.floor(clock.nowMs() / 1000) + 60
    const key = parseTokenKey(await new MemoryTokenKeys().generate())
    for (const uid of ['root', 'scheduler', 'stranger', '__proto__']) {
      const tried = identity.loginService(uid, await signToken(key, { uid, exp }))
      expect(await cluster.settle(tried)).toBeUndefined()
    }
  })
})

describe('what is allowed', () => {
  test.each([
    ['root', 'dcos:secrets:default:/any/thing', 'delete', true],
    ['root', 'no:such:resource', 'full', true],
    ['dev', 'dcos:secrets:default:/dev/db', 'read', true],
    ['dev', 'dcos:secrets:default:dev/a/b', 'create', true],
    ['dev', 'dcos:secrets:default:/dev', 'read', false],
    ['dev', 'dcos:secrets:default:/dev2/db', 'read', false],
    ['dev', 'dcos:secrets:default:/', 'read', false],
    ['scheduler', 'dcos:secrets:default:/dev/db', 'read', true],
    ['scheduler', 'dcos:secrets:default:/dev/db', 'update', false],
    ['nobody', 'dcos:secrets:default:/dev/db', 'read', false],
    ['stranger', 'dcos:secrets:default:/dev/db', 'read', false],
    ['__proto__', 'dcos:secrets:default:/dev/db', 'read', false],
    ['constructor', 'dcos:superuser', 'full', false],
  ] as const)('MA5: to %s on %s: %s is %s', (uid, resource, action, isAllowed) => {
    expect(identity.allowed({ uid }, resource, action)).toBe(isAllowed)
  })
})

describe('an Authorization header', () => {
  test('is read the same way whatever form it has', async () => {
    const token = (await login('dev', rootPassword)) ?? ''
    const basic = Buffer.from(`dev:${rootPassword}`).toString('base64')
    for (const header of [`token=${token}`, `Bearer ${token}`, `Basic ${basic}`]) {
      expect(await cluster.settle(principalOf(identity, header))).toMatchObject({ uid: 'dev' })
    }
    const wrong = Buffer.from('dev:wrong').toString('base64')
    for (const header of [undefined, '', token, `token=${token}x`, `Basic ${wrong}`, 'Basic !']) {
      expect(await cluster.settle(principalOf(identity, header))).toBeUndefined()
    }
  })

  test('MA7 threat:AU-08: a password in it is on record like a login, right or wrong', async () => {
    const { records } = cluster.follower.audit
    const basic = (text: string): Promise<unknown> =>
      cluster.settle(identity.authenticatePassword('dev', password(text)))
    await basic('wrong')
    expect(records.at(-1)).toMatchObject({ principal: 'dev', action: 'login', outcome: 'denied' })
    await basic(rootPassword)
    expect(records.at(-1)).toMatchObject({ principal: 'dev', action: 'login', outcome: 'allowed' })
    cluster.follower.audit.isBroken = true
    await expect(basic('wrong')).rejects.toThrow('full')
  })

  test('with a right password is right again at once, and a wrong one never is', async () => {
    const basic = (text: string): Promise<unknown> =>
      cluster.settle(identity.authenticatePassword('dev', password(text)))
    expect(await basic(rootPassword)).toMatchObject({ uid: 'dev' })
    expect(await basic(rootPassword)).toMatchObject({ uid: 'dev' })
    expect(await basic(`${rootPassword}x`)).toBeUndefined()
    const root = identity.authenticatePassword('root', password('wrong'))
    expect(await cluster.settle(root)).toBeUndefined()
  })

  test('is turned away rather than queued for ever when very many come at once', async () => {
    const tries = Array.from({ length: 80 }, () =>
      identity.authenticatePassword('dev', password(rootPassword)).then(
        () => 'in',
        (error: { code: string }) => error.code,
      ),
    )
    const came = await cluster.settle(Promise.all(tries))
    expect(new Set(came)).toEqual(new Set(['in', 'cluster.unavailable']))
    expect(came.filter((one) => one === 'in')).toHaveLength(64)
  })
})
