import { canary, expectNoLeak } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { secretReference, sentSpec, Services } from '../testing/services.ts'

/** Everything that is asked of services while one uses a secret, and what is refused beside. */
test('DK5, DK9: no answer of services and no log line has the value of a secret they use', async () => {
  const value = canary('value')
  const variable = canary('variable')
  const credentials = canary('credentials')
  const front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  const services = new Services(front)
  const secret = await services.secret('s', value.text)
  const container = {
    Secrets: [secretReference(secret, 's')],
    Env: [`PASSWORD=${variable.text}`],
  }
  const spec = sentSpec('app', {}, container)
  const headers = {
    'content-type': 'application/json',
    'x-registry-auth': Buffer.from(credentials.text).toString('base64'),
  }
  const post = (url: string, body: object) =>
    front.app.inject({ method: 'POST', url, headers, payload: JSON.stringify(body) })

  const created = await post('/services/create', spec)
  const { ID } = created.json<{ ID: string }>()
  await front.master.scene.settle()
  const { Version } = await services.get(ID)
  const answers = [
    created,
    await post('/services/create', spec),
    await post('/services/create', sentSpec('bad name', {}, container)),
    await post(`/services/${ID}/update?version=${Version.Index}`, sentSpec('app')),
    await post(`/services/${ID}/update?version=${Version.Index}`, spec),
    await front.ask('DELETE', '/secrets/s'),
    await front.ask('GET', `/services/${ID}?insertDefaults=true`),
    await front.ask('GET', '/services?status=true'),
    await front.ask('GET', '/tasks'),
    await front.ask('DELETE', `/services/${ID}`),
  ].map(({ headers: sent, body }) => ({ headers: sent, body }))

  expect(answers).toHaveLength(10)
  expectNoLeak({ answers, log: front.log.text }, [value, credentials])
  // Whoever writes a value into a variable is shown it again, as by the Engine; the log never is.
  expectNoLeak({ log: front.log.text }, [variable])
})
