import {
  BytesMalformed,
  Redacted,
  readJsonField,
  utf8Text,
  wipe,
  type JsonField,
} from '@conclave/kernel'
import type { IdentityApi } from '@conclave/actors'
import type { FastifyPluginAsync } from 'fastify'
import { unauthorized } from './refuse.ts'

/** Login and what goes with it: the routes that need no token. Source: dcos.md §1. */
export const authRoutes =
  (identity: IdentityApi): FastifyPluginAsync =>
  async (app) => {
    // An `Authorization` header is ignored here: the CLI sends its old, expired token along.
    app.post('/acs/api/v1/auth/login', async ({ body, ip }, reply) => {
      const token = await login(identity, Buffer.isBuffer(body) ? body : Buffer.alloc(0), ip)
      if (token === undefined) {
        return unauthorized(reply, 'ERR_INVALID_CREDENTIALS', 'Invalid credentials')
      }
      return reply.header('cache-control', 'no-store').send({ token })
    })
    app.get('/acs/api/v1/auth/jwks', async () => identity.jwks())
    app.get('/acs/api/v1/auth/providers', async () => providers)
  }

/** A token for who has shown a password or a service login token; the fields are wiped. */
async function login(
  identity: IdentityApi,
  body: Buffer,
  source: string,
): Promise<string | undefined> {
  const uid = readJsonField(body, 'uid')
  const password = readJsonField(body, 'password')
  const loginToken = readJsonField(body, 'token')
  try {
    const name = textOf(uid)
    if (name === undefined) return undefined
    if (password.kind === 'string')
      return await identity.login(name, new Redacted(password.bytes), source)
    const signed = textOf(loginToken)
    return signed === undefined ? undefined : await identity.loginService(name, signed, source)
  } finally {
    if (password.kind === 'string') wipe(password.bytes)
    if (loginToken.kind === 'string') wipe(loginToken.bytes)
  }
}

function textOf(field: JsonField): string | undefined {
  if (field.kind !== 'string') return undefined
  try {
    return utf8Text(field.bytes)
  } catch (error) {
    if (error instanceof BytesMalformed) return undefined
    throw error
  }
}

const provider = (type: string, method: string): object => ({
  'authentication-type': type,
  'client-method': method,
  config: { start_flow_url: '/acs/api/v1/auth/login' },
  description: 'Default DC/OS login provider',
})

const providers = {
  'dcos-users': provider('dcos-uid-password', 'dcos-usercredential-post-receive-authtoken'),
  'dcos-services': provider('dcos-uid-servicekey', 'dcos-servicecredential-post-receive-authtoken'),
}
