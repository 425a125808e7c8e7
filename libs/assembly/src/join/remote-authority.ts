import type { Address, Issued } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import type { TlsIdentity } from '@conclave/runtime'
import { z } from 'zod'
import { askToJoin, JoinRefused, JoinUnreachable, type Assurance } from './join-client.ts'

const Renewed = z.object({ certificate: z.string(), authority: z.string() })
const Confirmed = z.object({ authority: z.string() })

/** The authority as a member that is no master reaches it: at any master's `join` port. */
export const remoteAuthority = ({
  joins,
  clusterId,
}: {
  /** Where masters listen for that now. */
  readonly joins: () => readonly Address[]
  readonly clusterId: string
}): {
  readonly renew: (present: TlsIdentity, requestPem: string) => Promise<Issued>
  readonly confirm: (present: TlsIdentity) => Promise<string>
} => {
  const ask = <T>(identity: TlsIdentity, path: string, schema: z.ZodType<T>, body?: object) =>
    askAny(joins(), { kind: 'member', identity, clusterId }, path, schema, body)
  return {
    renew: async (present, requestPem) => {
      const answer = await ask(present, '/v1/renewal', Renewed, { request: requestPem })
      return { certificatePem: answer.certificate, authorityPem: answer.authority }
    },
    confirm: async (present) => (await ask(present, '/v1/confirmation', Confirmed)).authority,
  }
}

/** One after the other, until one answers. @throws JoinRefused, JoinUnreachable */
async function askAny<T>(
  joins: readonly Address[],
  assurance: Assurance,
  path: string,
  schema: z.ZodType<T>,
  body: object | undefined,
): Promise<T> {
  let last: unknown
  for (const address of joins) {
    try {
      const bytes = body && utf8(JSON.stringify(body))
      const said = await askToJoin<unknown>(address, assurance, {
        method: 'POST',
        path,
        ...(bytes && { body: bytes }),
      })
      const answer = schema.safeParse(said)
      if (answer.success) return answer.data
      last = new JoinUnreachable(address, 'its answer is none')
    } catch (error) {
      const mayPass =
        error instanceof JoinUnreachable || (error instanceof JoinRefused && error.status >= 500)
      if (!mayPass) throw error
      last = error
    }
  }
  throw last
}
