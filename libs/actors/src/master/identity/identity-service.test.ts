import { generateKeyPairSync, createSign } from 'node:crypto'
import { parseTokenKey, sealEnvelope, signToken, unwrapKeyring } from '@conclave/crypto'
import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import { superuserResource } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster, MemoryTokenKeys } from '../../testing/memory-cluster.ts'
import { firstPeople, rootPassword } from '../../testing/people.ts'
import { principalOf } from './credentials.ts'
import { aclKey, identityChangedKey, userKey, type AclRecord } from './identity-records.ts'
import { tokenLifetimeSeconds, type IdentityService } from './identity-service.ts'
import { keyringKey, tokenKeyKey, tokenKeyPlace } from '../master-records.ts'
import { encodeRecord } from '../record.ts'

/** Where requests come from here, unless a test says otherwise. */
const home = '127.0.0.1'
const password = (text: string): RedactedBytes => new Redacted(utf8(text))
const service = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

let clock: ManualClock
/** Whether time passes while the cluster works. */
let isFrozen: boolean
let cluster: MemoryCluster
let identity: IdentityService

beforeEach(async () => {
  clock = new ManualClock()
  isFrozen = false
  const random = new SeededRandom(3)
  const people = await firstPeople(random)
  cluster = new MemoryCluster({
    clock: {
      nowMs: () => clock.nowMs(),
      advance: (ms) => (isFrozen ? undefined : clock.advance(ms)),
    },
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
  cluster.settle(identity.login(uid, password(text), home))

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
      expect(await actor.identity.authenticate(token)).toEqual({
        uid: 'root',
        isSuperuser: true,
        expiresAtMs: exp * 1000,
      })
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
    expect(await cluster.settle(identity.login(uid, bytes, home))).toBeUndefined()
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
    actor.identity.login('root', password(rootPassword), home),
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
    cluster.leader.replica.propose({
      compare: [],
      success: [
        op,
        { do: 'put', key: identityChangedKey, value: encodeRecord({ atMs: 0, because: key }) },
      ],
    }),
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
    expect(await identity.authenticate(token)).toMatchObject({ uid: 'dev', isSuperuser: true })
    await commit(aclKey(superuserResource), undefined)
    expect(await identity.authenticate(token)).toMatchObject({ uid: 'dev', isSuperuser: false })
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
    const token = await cluster.settle(
      identity.loginService('robot', loginToken('robot', 300), home),
    )
    expect(await identity.authenticate(token ?? '')).toMatchObject({ uid: 'robot' })
  })

  test.each([
    ['another account’s token', 'scheduler', 'robot', 300],
    ['a token for another', 'robot', 'root', 300],
    ['an expired token', 'robot', 'robot', -1],
    ['a token that lives too long', 'robot', 'robot', 600],
    ['a user who is no service', 'root', 'root', 300],
  ])('is refused with %s', async (_what, uid, claimed, lifetime) => {
    const tried = identity.loginService(uid, loginToken(claimed, lifetime), home)
    expect(await cluster.settle(tried)).toBeUndefined()
  })

  test('threat:AU-02: nobody becomes a service with a token that this cluster signed', async () => {
    const exp = Math.floor(clock.nowMs() / 1000) + 60
    const key = parseTokenKey(await new MemoryTokenKeys().generate())
    for (const uid of ['root', 'scheduler', 'stranger', '__proto__']) {
      const tried = identity.loginService(uid, await signToken(key, { uid, exp }), home)
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

const together = (count: number, source: string): Promise<string>[] =>
  Array.from({ length: count }, () =>
    identity.authenticatePassword('dev', password(rootPassword), source).then(
      () => 'in',
      (error: { code: string }) => error.code,
    ),
  )

const settledPrincipal = (header: string | undefined) =>
  cluster.settle(Promise.resolve(principalOf(identity, header, home)))

describe('an Authorization header', () => {
  test('is read the same way whatever form it has', async () => {
    const token = (await login('dev', rootPassword)) ?? ''
    const basic = Buffer.from(`dev:${rootPassword}`).toString('base64')
    for (const header of [`token=${token}`, `Bearer ${token}`, `Basic ${basic}`]) {
      expect(await settledPrincipal(header)).toMatchObject({
        uid: 'dev',
      })
    }
    const wrong = Buffer.from('dev:wrong').toString('base64')
    for (const header of [undefined, '', token, `token=${token}x`, `Basic ${wrong}`, 'Basic !']) {
      expect(await settledPrincipal(header)).toBeUndefined()
    }
  })

  test('MA7 threat:AU-08: a password in it is on record like a login, right or wrong', async () => {
    const { records } = cluster.follower.audit
    const basic = (text: string): Promise<unknown> =>
      cluster.settle(identity.authenticatePassword('dev', password(text), home))
    await basic('wrong')
    expect(records.at(-1)).toMatchObject({ principal: 'dev', action: 'login', outcome: 'denied' })
    await basic(rootPassword)
    expect(records.at(-1)).toMatchObject({ principal: 'dev', action: 'login', outcome: 'allowed' })
    cluster.follower.audit.isBroken = true
    await expect(basic('wrong')).rejects.toThrow('full')
  })

  test('with a right password is right again at once, and a wrong one never is', async () => {
    const basic = (text: string): Promise<unknown> =>
      cluster.settle(identity.authenticatePassword('dev', password(text), home))
    expect(await basic(rootPassword)).toMatchObject({ uid: 'dev' })
    expect(await basic(rootPassword)).toMatchObject({ uid: 'dev' })
    expect(await basic(`${rootPassword}x`)).toBeUndefined()
    const root = identity.authenticatePassword('root', password('wrong'), home)
    expect(await cluster.settle(root)).toBeUndefined()
  })

  test('is turned away rather than queued for ever when very many come at once', async () => {
    const tries = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].flatMap((source) => together(30, source))
    const came = await cluster.settle(Promise.all(tries))
    expect(new Set(came)).toEqual(new Set(['in', 'cluster.unavailable']))
    expect(came.filter((one) => one === 'in')).toHaveLength(64)
  })

  test('MA18 threat:AU-08: whoever fills the queue from one place leaves room for others', async () => {
    const many = together(80, '10.0.0.1')
    const other = together(1, '10.0.0.2')
    const came = await cluster.settle(Promise.all([...many, ...other]))
    expect(came.filter((one) => one === 'in')).toHaveLength(33)
    expect(came.at(-1)).toBe('in')
  })
})

const outcome = async (tried: Promise<unknown>): Promise<string> => {
  try {
    return (await cluster.settle(tried)) === undefined ? 'wrong' : 'in'
  } catch (error) {
    return (error as { code: string }).code
  }
}
const guess = (uid: string, text = 'wrong', source = '10.6.6.6'): Promise<string> =>
  outcome(identity.login(uid, password(text), source))
/** Cheaper than passwords, and counted like them. */
const signed = (uid: string, source = '10.6.6.6'): Promise<string> =>
  outcome(identity.loginService(uid, loginToken('scheduler', 300), source))
async function guesses(count: number, uid: (index: number) => string): Promise<string[]> {
  const came: string[] = []
  for (let index = 0; index < count; index++) came.push(await guess(uid(index)))
  return came
}

const basicGuess = (text: string): Promise<string> =>
  outcome(identity.authenticatePassword('dev', password(text), '10.6.6.6'))

describe('whoever guesses', () => {
  beforeEach(() => {
    isFrozen = true
  })
  test.each(['dev', 'nobody', 'stranger'])(
    'MA18 threat:AU-08: %s has five tries, then one every twelve seconds',
    async (uid) => {
      const came = await guesses(7, () => uid)
      expect(came.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => 'wrong'))
      expect(came.slice(5)).toEqual(['login.throttled', 'login.throttled'])
      const tried = cluster.settle(identity.login(uid, password('x'), '10.6.6.6'))
      await expect(tried).rejects.toMatchObject({ retryAfterSeconds: 12 })

      clock.advance(12_000)
      expect(await guesses(2, () => uid)).toEqual(['wrong', 'login.throttled'])
    },
  )

  test('MA18 threat:AU-08: gains nothing by another letter case, spaces or look-alikes', async () => {
    const names = ['root', 'Root', 'ROOT ', ' root', 'ｒｏｏｔ', 'ro\u200bot', 'r oot\t']
    const came = await guesses(names.length, (index) => names[index] ?? '')
    expect(came.slice(5)).toEqual(['login.throttled', 'login.throttled'])
  })

  test('MA18 threat:AU-08: does not lock out the user, who is elsewhere', async () => {
    await guesses(6, () => 'dev')
    expect(await guess('dev', rootPassword)).toBe('login.throttled')
    expect(await guess('dev', rootPassword, '10.0.0.9')).toBe('in')
  })

  test('MA18 threat:AU-08: has thirty tries from one address, at whatever names', async () => {
    const came: string[] = []
    for (let index = 0; index < 31; index++) came.push(await signed(`user-${index}`))
    expect(came.slice(0, 30).every((one) => one === 'wrong')).toBe(true)
    expect(came[30]).toBe('login.throttled')
    expect(await guess('dev', rootPassword)).toBe('login.throttled')
    expect(await signed('user-1', '10.0.0.9')).toBe('wrong')
  })

  test('MA18 threat:AU-08: counts as one from all addresses of an IPv6 network', async () => {
    const came: string[] = []
    for (let host = 1; host < 7; host++) came.push(await guess('dev', 'wrong', `2001:db8::${host}`))
    expect(came.at(-1)).toBe('login.throttled')
  })

  test('MA18 threat:AU-08: cannot ask the memory of right passwords instead', async () => {
    expect(await basicGuess(rootPassword)).toBe('in')
    for (let count = 0; count < 5; count++) expect(await basicGuess('wrong')).toBe('wrong')
    expect(await basicGuess(rootPassword)).toBe('login.throttled')
  })

  test('MA18 threat:AU-08: is counted for a service’s signature like for a password', async () => {
    const came: string[] = []
    for (let count = 0; count < 6; count++) came.push(await signed('robot'))
    expect(came.at(-1)).toBe('login.throttled')
    const right = identity.loginService('robot', loginToken('robot', 300), '10.0.0.9')
    expect(await outcome(right)).toBe('in')
  })

  test('MA18 threat:AU-08: guesses no more when all guesses come at once', async () => {
    const tries = Array.from({ length: 30 }, () =>
      identity.login('dev', password('wrong'), '10.6.6.6').then(
        () => 'wrong',
        (error: { code: string }) => error.code,
      ),
    )
    const came = await cluster.settle(Promise.all(tries))
    expect(came.filter((one) => one === 'wrong')).toHaveLength(5)
  })

  test('MA18: a right password forgives the wrong ones before it', async () => {
    await guesses(4, () => 'dev')
    expect(await guess('dev', rootPassword)).toBe('in')
    expect(await guesses(5, () => 'dev')).toEqual(Array.from({ length: 5 }, () => 'wrong'))
  })

  test('MA7 threat:AU-08: does not fill the disk: what is more than twenty a minute is told as a number', async () => {
    const { records } = cluster.follower.audit
    const before = records.length
    for (let index = 0; index < 130; index++) await signed(`user-${index}`)
    expect(records.length - before).toBe(20)
    expect(records.at(-1)).toMatchObject({ source: '10.6.6.6', outcome: 'denied' })

    clock.advance(60_000)
    await cluster.until(() => records.length - before > 20)

    expect(records.at(-1)).toMatchObject({
      action: 'login',
      principal: 'unknown',
      outcome: 'denied',
      source: '10.6.6.6',
      count: 110,
    })
  })
})
