/*
 * A Mesos executor in raw HTTP: it shares no code with the house. It runs no commands of its own but
 * says what it was asked to find out, as messages to its framework. What a task's `data` says, it does:
 * `finish`; `secret`: a digest of what its environment holds; `spoof`: calls as somebody it is not;
 * `nest`: a container below its own, with a secret file.
 */
import { createHash } from 'node:crypto'

const env = { ...process.env }
// As the executor library of Mesos does: nothing that this program starts shall find it.
delete process.env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN
const token = env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN
const base = `http://${env.MESOS_AGENT_ENDPOINT}`
const own = {
  framework_id: { value: env.MESOS_FRAMEWORK_ID },
  executor_id: { value: env.MESOS_EXECUTOR_ID },
}

const post = (path, call, bearer = token) =>
  fetch(base + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(bearer && { authorization: `Bearer ${bearer}` }),
    },
    body: JSON.stringify(call),
  })
const executor = (call, bearer) => post('/api/v1/executor', { ...own, ...call }, bearer)

async function update(task_id, state) {
  const uuid = crypto.randomUUID().replaceAll('-', '')
  const status = {
    task_id,
    state,
    source: 'SOURCE_EXECUTOR',
    executor_id: own.executor_id,
    uuid: Buffer.from(uuid, 'hex').toString('base64'),
  }
  await executor({ type: 'UPDATE', update: { status } })
}

const say = (words) =>
  executor({
    type: 'MESSAGE',
    message: { data: Buffer.from(JSON.stringify(words)).toString('base64') },
  })

const answerOf = async (name, answer) => {
  const { status, headers } = await answer
  const body = await (await answer).text()
  return { name, status, body, why: headers.get('www-authenticate') ?? '' }
}

const flipped = (text) => text.slice(0, -2) + (text.at(-2) === 'A' ? 'B' : 'A') + text.at(-1)

const as = (change) => ({ ...own, ...change, type: 'MESSAGE', message: { data: 'aGk=' } })

async function spoof() {
  const call = '/api/v1/executor'
  const nested = { value: 'x', parent: { value: 'another-container' } }
  return [
    await answerOf('nobody', post(call, as({}), '')),
    await answerOf('wrong key', post(call, as({}), flipped(token))),
    await answerOf('other framework', post(call, as({ framework_id: { value: 'none' } }))),
    await answerOf('other executor', post(call, as({ executor_id: { value: 'none' } }))),
    await answerOf('sibling', post(call, as({ executor_id: { value: 'sibling' } }))),
    await answerOf('state', post('/api/v1', { type: 'GET_STATE' })),
    await answerOf(
      'foreign container',
      post('/api/v1', {
        type: 'LAUNCH_NESTED_CONTAINER',
        launch_nested_container: { container_id: nested, command: { value: 'true' } },
      }),
    ),
    await answerOf('no executor', post('/api/v1', { type: 'GET_HEALTH' })),
  ]
}

async function nest(containerId, secret) {
  const container_id = { value: 'below', parent: containerId }
  const launched = await answerOf(
    'launch',
    post('/api/v1', {
      type: 'LAUNCH_NESTED_CONTAINER',
      launch_nested_container: {
        container_id,
        command: { value: 'test "$(cat keys/file)" = "for the task" && exit 7' },
        container: {
          type: 'MESOS',
          volumes: [
            {
              mode: 'RO',
              container_path: 'keys/file',
              source: {
                type: 'SECRET',
                secret: { type: 'REFERENCE', reference: { name: secret } },
              },
            },
          ],
        },
      },
    }),
  )
  const waited = await answerOf(
    'wait',
    post('/api/v1', { type: 'WAIT_NESTED_CONTAINER', wait_nested_container: { container_id } }),
  )
  const removed = await answerOf(
    'remove',
    post('/api/v1', { type: 'REMOVE_NESTED_CONTAINER', remove_nested_container: { container_id } }),
  )
  return [launched, waited, removed]
}

let containerId
async function told(event) {
  if (event.type === 'SUBSCRIBED') containerId = event.subscribed.container_id
  if (event.type === 'KILL') await update(event.kill.task_id, 'TASK_KILLED')
  if (event.type === 'MESSAGE') await say({ echo: event.message.data })
  if (event.type === 'SHUTDOWN') process.exit(0)
  if (event.type !== 'LAUNCH') return
  const { task_id, data = '', labels } = event.launch.task
  await update(task_id, 'TASK_RUNNING')
  const wish = Buffer.from(data, 'base64').toString()
  if (wish === 'wait') return
  if (wish === 'secret') {
    await say({
      digest: createHash('sha256')
        .update(env.DB_PASSWORD ?? '')
        .digest('hex'),
    })
  }
  if (wish === 'spoof') await say({ spoof: await spoof() })
  if (wish === 'nest') await say({ nest: await nest(containerId, labels.labels[0].value) })
  await update(task_id, 'TASK_FINISHED')
}

const answer = await executor({ type: 'SUBSCRIBE', subscribe: {} })
if (answer.status !== 200) throw new Error(`SUBSCRIBE: ${answer.status} ${await answer.text()}`)
let left = Buffer.alloc(0)
for await (const chunk of answer.body) {
  left = Buffer.concat([left, chunk])
  for (;;) {
    const newline = left.indexOf('\n')
    const end = newline + 1 + Number(left.subarray(0, newline).toString())
    if (newline < 0 || left.length < end) break
    await told(JSON.parse(left.subarray(newline + 1, end).toString()))
    left = left.subarray(end)
  }
}
