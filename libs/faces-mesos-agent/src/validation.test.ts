import { afterAll, describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

/*
 * The rules of reference mesos.md §11 as an agent's own API has them: each call that launches something,
 * with the rules of an environment and of volumes, in Mesos' words. The numbers are those of
 * libs/cluster/src/validation/rules.test.ts.
 */

const front = new Front()
afterAll(() => front.app.close())

const launches = [
  ['LAUNCH_NESTED_CONTAINER', 'launch_nested_container'],
  ['LAUNCH_NESTED_CONTAINER_SESSION', 'launch_nested_container_session'],
  ['LAUNCH_CONTAINER', 'launch_container'],
] as const

const value = { data: 'aGk=' }
const reference = { type: 'REFERENCE', reference: { name: 'dev/db' } }
const secret = (of: object): object => ({ name: 'A', type: 'SECRET', secret: of })
const invalid = "Environment variable 'A' specifies an invalid secret: "

const variables: readonly (readonly [string, object, string])[] = [
  [
    'E1',
    { name: 'A', type: 'SECRET' },
    "Environment variable 'A' of type 'SECRET' must have a secret set",
  ],
  [
    'E2',
    { ...secret(reference), value: '' },
    "Environment variable 'A' of type 'SECRET' must not have a value set",
  ],
  [
    'E3 S1',
    secret({ type: 'REFERENCE' }),
    `${invalid}Secret of type REFERENCE must have the 'reference' field set`,
  ],
  [
    'E3 S2',
    secret({ ...reference, value }),
    `${invalid}Secret 'dev/db' of type REFERENCE must not have the 'value' field set`,
  ],
  [
    'E3 S3',
    secret({ type: 'VALUE' }),
    `${invalid}Secret of type VALUE must have the 'value' field set`,
  ],
  [
    'E3 S4',
    secret({ type: 'VALUE', value, reference: { name: 'x' } }),
    `${invalid}Secret of type VALUE must not have the 'reference' field set`,
  ],
  [
    'E4',
    secret({ type: 'VALUE', value: { data: 'AA==' } }),
    "Environment variable 'A' specifies a secret containing null bytes, which is not allowed in the environment",
  ],
  ['E5', { name: 'A' }, "Environment variable 'A' of type 'VALUE' must have a value set"],
  [
    'E6',
    { name: 'A', value: '', secret: reference },
    "Environment variable 'A' of type 'VALUE' must not have a secret set",
  ],
  ['E7', { name: 'A', type: 'UNKNOWN' }, "Environment variable of type 'UNKNOWN' is not allowed"],
]

const volume = (of: object): object => ({ mode: 'RO', container_path: 'x', ...of })
const source = (type: string): object => volume({ source: { type } })

const volumes: readonly (readonly [string, object, string])[] = [
  ['V1', volume({}), "Only one of them should be set: 'host_path', 'image' and 'source'"],
  [
    'V1',
    volume({ host_path: '/x', source: { type: 'SECRET', secret: reference } }),
    "Only one of them should be set: 'host_path', 'image' and 'source'",
  ],
  ['V2', source('DOCKER_VOLUME'), "'source.docker_volume' is not set for DOCKER_VOLUME volume"],
  ['V3', source('HOST_PATH'), "'source.host_path' is not set for HOST_PATH volume"],
  ['V4', source('SANDBOX_PATH'), "'source.sandbox_path' is not set for SANDBOX_PATH volume"],
  ['V5', source('SECRET'), "'source.secret' is not set for SECRET volume"],
  ['V6', source('CSI_VOLUME'), "'source.csi_volume' is not set for CSI volume"],
  ['V7', source('UNKNOWN'), "'source.type' is unknown"],
]

const container_id = { value: 'x', parent: { value: 'y' } }

describe.each(launches)('FA1: %s', (type, part) => {
  test.each(variables)('P9 its environment, %s', async (_number, one, text) => {
    const command = { environment: { variables: [one] } }
    const answer = await front.ask('/api/v1', { type, [part]: { container_id, command } })

    expect(answer).toMatchObject({
      status: 400,
      body: `Failed to validate agent::Call: '${part}.command' is invalid: ${text}`,
    })
  })

  test.each(volumes)('P10 its container, %s', async (_number, one, text) => {
    const container = { type: 'MESOS', volumes: [one] }
    const answer = await front.ask('/api/v1', { type, [part]: { container_id, container } })

    expect(answer).toMatchObject({
      status: 400,
      body: `Failed to validate agent::Call: '${part}.container' is invalid: Invalid volume: ${text}`,
    })
  })
})
