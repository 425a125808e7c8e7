import { describe, expect, test } from 'vitest'
import {
  coveringResources,
  ResourceId,
  secretListResource,
  secretResource,
  Uid,
  User,
} from './identity.ts'
import { SecretPath } from './secret.ts'

const rid = (text: string): ResourceId => ResourceId.parse(text)

describe('a resource id', () => {
  test('MO3: of a secret may be written with and without the slash', () => {
    expect(rid('dcos:secrets:default:dev/db')).toBe('dcos:secrets:default:/dev/db')
    expect(rid('dcos:secrets:default:/dev/db')).toBe('dcos:secrets:default:/dev/db')
    expect(rid('dcos:secrets:default://dev/db')).toBe('dcos:secrets:default:/dev/db')
    expect(rid('dcos:secrets:default:*')).toBe('dcos:secrets:default:/*')
    expect(rid('dcos:secrets:list:default:dev/')).toBe('dcos:secrets:list:default:/dev')
    expect(rid('dcos:secrets:list:default:')).toBe('dcos:secrets:list:default:/')
    expect(rid('dcos:adminrouter:acs')).toBe('dcos:adminrouter:acs')
  })

  test.each(['', 'dcos:a\u0000b', 'dcos:a\nb', 'x'.repeat(1201)])('is never %j', (text) => {
    expect(ResourceId.safeParse(text).success).toBe(false)
  })

  test('MO4: is covered by the wildcards of its folders, the narrowest first', () => {
    expect(coveringResources(secretResource(SecretPath.parse('app/db/password')))).toEqual([
      'dcos:secrets:default:/app/db/password',
      'dcos:secrets:default:/app/db/*',
      'dcos:secrets:default:/app/*',
      'dcos:secrets:default:/*',
    ])
    expect(coveringResources(secretResource(SecretPath.parse('app')))).toEqual([
      'dcos:secrets:default:/app',
      'dcos:secrets:default:/*',
    ])
  })

  test('MO4: for listing is covered by the folders above it', () => {
    expect(coveringResources(secretListResource(SecretPath.parse('app/db')))).toEqual([
      'dcos:secrets:list:default:/app/db',
      'dcos:secrets:list:default:/app',
      'dcos:secrets:list:default:/',
    ])
    expect(coveringResources(secretListResource(''))).toContain('dcos:secrets:list:default:/')
  })

  test('MO4: of a service is covered by its groups, and any other only by itself', () => {
    expect(coveringResources(rid('dcos:service:marathon:marathon:services:/dev/web'))).toEqual([
      'dcos:service:marathon:marathon:services:/dev/web',
      'dcos:service:marathon:marathon:services:/dev',
      'dcos:service:marathon:marathon:services:/',
    ])
    expect(coveringResources(rid('dcos:adminrouter:ops:mesos'))).toEqual([
      'dcos:adminrouter:ops:mesos',
    ])
  })
})

test.each(['', '.', '..', 'a/b', 'a b', 'a\u0000', 'x'.repeat(97)])('%j is no uid', (uid) => {
  expect(Uid.safeParse(uid).success).toBe(false)
})

test('MO2: a user that was read has no password hash, whatever was stored', () => {
  const user = User.parse({
    uid: 'alice@example.com',
    description: '',
    isService: false,
    createdAtMs: 0,
    passwordHash: '$scrypt$…',
  })

  expect(user).not.toHaveProperty('passwordHash')
})
