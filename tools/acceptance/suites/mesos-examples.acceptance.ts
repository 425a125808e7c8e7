import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { canary, findCanaries, scanDirectory, type Canary } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answersOf, Conclave, Framework, until } from '../src/index.ts'

/*
 * The workflows of the talk, as they stand in examples/mesos, and the search that tells the new ways
 * from the old.
 */

const examples = new URL('../../../examples/mesos/', import.meta.url)

let cluster: Conclave
let framework: Framework
const stored = canary('stored')
const inLabel = canary('inlabel')
const inData = canary('indata')

beforeAll(async () => {
  cluster = await Conclave.start()
  const json = JSON.stringify({ password: stored.text })
  const { code, stderr } = await cluster.cli(['secret', 'put', 'examples/db'], json)
  if (code !== 0) throw new Error(stderr)
  framework = await Framework.subscribe(cluster, {
    name: 'examples',
    failoverTimeoutSeconds: 3600,
  })
})
afterAll(async () => {
  framework?.close()
  await cluster?.stop()
})

const encoded = (one: string): string => Buffer.from(one).toString('base64')

/** An example as a framework sends it, with a value in the place of `change-me`. */
function taskOf(name: string, value?: Canary): object {
  const text = readFileSync(new URL(`${name}/task.json`, examples), 'utf8')
  const filled =
    value === undefined
      ? text
      : text
          .replace('"change-me"', JSON.stringify(value.text))
          .replace(`"${encoded('change-me')}"`, JSON.stringify(encoded(value.text)))
  return { ...(JSON.parse(filled) as object), task_id: { value: name } }
}

async function runs(name: string, value?: Canary): Promise<object> {
  const task = taskOf(name, value)
  await framework.launch([task])
  await framework.status(name, 'TASK_FINISHED')
  return task
}

/** Where, among all that the leader shows an operator, this value can be read. */
async function shownAt(value: Canary): Promise<readonly string[]> {
  const leader = await cluster.leader()
  const admin = await answersOf(cluster, leader, cluster.ready.credentials, {
    secrets: ['examples/db'],
    runs: [],
    tasks: ['environment', 'file', 'file-in-image', 'labels', 'data'],
  })
  return admin
    .filter(({ bytes }) => findCanaries(bytes, [value]).length > 0)
    .map(({ place }) => place.replace(/^\S+ mesos (\S+) (.*) to .*$/, '$1 $2'))
}

describe('the new ways', () => {
  test.each(['environment', 'file', 'file-in-image'])(
    '%s: the task has the value, and nobody is shown it',
    async (name) => {
      await runs(name)

      const digest = createHash('sha256').update(stored.text).digest('hex')
      await until(`the digest is in the logs of ${name}`, async () => {
        const { stdout } = await cluster.cli(['task', 'logs', name])
        return stdout.includes(digest)
      })
      expect(await shownAt(stored)).toEqual([])
      const { hits } = await scanDirectory(cluster.directory, [stored])
      expect(hits).toEqual([])
    },
  )
})

describe('the old ways', () => {
  test('labels: whoever may look at the state can read it, also when the task has ended', async () => {
    await runs('labels', inLabel)

    expect(await shownAt(inLabel)).toEqual(
      expect.arrayContaining([
        '/state ""',
        '/master/state ""',
        '/tasks ""',
        '/api/v1 {"type":"GET_STATE"}',
        '/api/v1 {"type":"GET_TASKS"}',
      ]),
    )
  })

  test('data: it crosses the network as it is, and no endpoint shows it', async () => {
    const task = await runs('data', inData)

    expect(findCanaries(Buffer.from(JSON.stringify(task)), [inData])).not.toEqual([])
    expect(await shownAt(inData)).toEqual([])
  })
})
