/*
 * An executor that does its own work, and then tries to be another one: the victim, whose ids stand in the
 * data of its task. Without a victim it only runs. It tells its framework what it was answered.
 */
const { MESOS_AGENT_ENDPOINT, MESOS_FRAMEWORK_ID, MESOS_EXECUTOR_ID } = process.env
const token = process.env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN
const framework_id = { value: MESOS_FRAMEWORK_ID }
const executor_id = { value: MESOS_EXECUTOR_ID }

const post = (path, call, bearer) =>
  fetch(`http://${MESOS_AGENT_ENDPOINT}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(bearer && { authorization: `Bearer ${bearer}` }),
    },
    body: JSON.stringify(call),
  })

/** As itself, or as somebody else. */
const asExecutor = (call, bearer = token, id = executor_id) =>
  post('/api/v1/executor', { framework_id, executor_id: id, ...call }, bearer)

const base64 = (text) => Buffer.from(text).toString('base64')
const say = (words) =>
  asExecutor({ type: 'MESSAGE', message: { data: base64(JSON.stringify(words)) } })

const update = (task_id, state) => ({
  type: 'UPDATE',
  update: {
    status: {
      task_id,
      state,
      source: 'SOURCE_EXECUTOR',
      uuid: Buffer.from(crypto.randomUUID().replaceAll('-', ''), 'hex').toString('base64'),
    },
  },
})

/** The same words under another key: one bit of the signature is another. */
const forged = (text) => text.slice(0, -2) + (text.at(-2) === 'A' ? 'B' : 'A') + text.at(-1)

async function attempts({ executor, task, container }) {
  const victim = { value: executor }
  const isDead = update({ value: task }, 'TASK_FAILED')
  const below = { value: 'below', parent: { value: container } }
  const tried = {
    'a status of the victim, without a token': asExecutor(isDead, '', victim),
    'a status of the victim, with a forged token': asExecutor(isDead, forged(token), victim),
    'a status of the victim, with its own token': asExecutor(isDead, token, victim),
    "the victim's stream, without a token": asExecutor(
      { type: 'SUBSCRIBE', subscribe: {} },
      '',
      victim,
    ),
    "the victim's stream, with its own token": asExecutor(
      { type: 'SUBSCRIBE', subscribe: {} },
      token,
      victim,
    ),
    "a container in the victim's": post(
      '/api/v1',
      {
        type: 'LAUNCH_NESTED_CONTAINER',
        launch_nested_container: { container_id: below, command: { value: 'true' } },
      },
      token,
    ),
    "the end of the victim's container": post(
      '/api/v1',
      { type: 'KILL_CONTAINER', kill_container: { container_id: { value: container } } },
      token,
    ),
    'what the victim prints': post(
      '/api/v1',
      {
        type: 'ATTACH_CONTAINER_OUTPUT',
        attach_container_output: { container_id: { value: container } },
      },
      token,
    ),
    'the state of the agent': post('/api/v1', { type: 'GET_STATE' }, token),
  }
  const answers = {}
  for (const [name, sent] of Object.entries(tried)) answers[name] = (await sent).status
  return answers
}

let container
async function told(event) {
  if (event.type === 'SUBSCRIBED') container = event.subscribed.container_id.value
  if (event.type === 'SHUTDOWN') process.exit(0)
  if (event.type === 'KILL') await asExecutor(update(event.kill.task_id, 'TASK_KILLED'))
  if (event.type !== 'LAUNCH') return
  const { task_id, data } = event.launch.task
  await asExecutor(update(task_id, 'TASK_RUNNING'))
  if (data === undefined) {
    // The victim: it works until it is told to end.
    await say({ executor: executor_id.value, task: task_id.value, container })
    return
  }
  await say({ answers: await attempts(JSON.parse(Buffer.from(data, 'base64').toString())) })
  await asExecutor(update(task_id, 'TASK_FINISHED'))
}

const events = await asExecutor({ type: 'SUBSCRIBE', subscribe: {} })
let left = Buffer.alloc(0)
for await (const chunk of events.body) {
  left = Buffer.concat([left, chunk])
  for (;;) {
    const newline = left.indexOf('\n')
    const end = newline + 1 + Number(left.subarray(0, newline).toString())
    if (newline < 0 || left.length < end) break
    await told(JSON.parse(left.subarray(newline + 1, end).toString()))
    left = left.subarray(end)
  }
}
