/*
 * What somebody would do with the npm client dockerode: secrets, a service that has one, a command in its
 * container, its logs. Usage: node dockerode.mjs DIRECTORY SOCKET < VALUE; prints JSON.
 * DIRECTORY has dockerode installed.
 */
import { createRequire } from 'node:module'
import { buffer } from 'node:stream/consumers'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

const [directory, socketPath] = process.argv.slice(2)
const require = createRequire(join(directory, 'package.json'))
const Docker = require('dockerode')
const docker = new Docker({ socketPath })
const value = await buffer(process.stdin)
const seen = {}

const until = async (attempt) => {
  for (;;) {
    const answer = await attempt()
    if (answer) return answer
    await sleep(50)
  }
}

/** What a multiplexed stream carries, apart. */
const apart = async (stream) => {
  const out = new PassThrough()
  const err = new PassThrough()
  docker.modem.demuxStream(stream, out, err)
  stream.on('end', () => {
    out.end()
    err.end()
  })
  const [stdout, stderr] = await Promise.all([buffer(out), buffer(err)])
  return { stdout: stdout.toString(), stderr: stderr.toString() }
}

const secret = await docker.createSecret({
  Name: 'dockerode_secret',
  Labels: { client: 'dockerode' },
  Data: value.toString('base64'),
})
const { ID: secretId, Spec } = await docker.getSecret(secret.id).inspect()
seen.secret = Spec
seen.listed = (await docker.listSecrets({ filters: { label: ['client=dockerode'] } })).map(
  (one) => one.Spec.Name,
)
const { Version } = await docker.getSecret(secret.id).inspect()
await docker.getSecret(secret.id).update({
  version: Version.Index,
  Name: 'dockerode_secret',
  Labels: { client: 'dockerode', new: 'yes' },
})
seen.relabelled = (await docker.getSecret(secret.id).inspect()).Spec.Labels

const service = await docker.createService({
  Name: 'dockerode_app',
  TaskTemplate: {
    ContainerSpec: {
      Image: 'alpine:latest',
      Command: ['sh', '-c', 'echo to out; echo to err >&2; exec sleep 100000'],
      Secrets: [
        {
          File: { Name: 'password', UID: '0', GID: '0', Mode: 0o400 },
          SecretID: secretId,
          SecretName: 'dockerode_secret',
        },
      ],
    },
  },
  Mode: { Replicated: { Replicas: 1 } },
})
const containerId = await until(async () => {
  const tasks = await docker.listTasks({ filters: { service: ['dockerode_app'] } })
  const running = tasks.find(({ Status }) => Status.State === 'running')
  return running?.Status.ContainerStatus.ContainerID
})
const container = docker.getContainer(containerId)
const { Name, State } = await container.inspect()
seen.container = [Name.replace(/[0-9a-z]{25}$/, 'ID'), State.Status]

const exec = await container.exec({
  AttachStdout: true,
  AttachStderr: true,
  Cmd: ['sh', '-c', 'cat /run/secrets/password; echo complaint >&2; exit 7'],
})
const { stdout, stderr } = await apart(await exec.start({ hijack: true, stdin: false }))
seen.exec = {
  isValue: Buffer.from(stdout).equals(value),
  stderr,
  exitCode: (await exec.inspect()).ExitCode,
}

const fed = await container.exec({ AttachStdin: true, AttachStdout: true, Cmd: ['cat'] })
const duplex = await fed.start({ hijack: true, stdin: true })
const back = apart(duplex)
duplex.write('typed')
duplex.end()
seen.stdin = (await back).stdout

seen.logs = await until(async () => {
  const bytes = await container.logs({ stdout: true, stderr: true, follow: false })
  const stream = PassThrough.from([bytes])
  const logs = await apart(stream)
  return logs.stdout !== '' && logs.stderr !== '' && logs
})
seen.serviceLogs = await until(async () => {
  const stream = await docker
    .getService(service.id)
    .logs({ stdout: true, stderr: true, follow: false })
  const text = Buffer.isBuffer(stream)
    ? stream.toString('latin1')
    : (await buffer(stream)).toString('latin1')
  return text.includes('to out') && text.includes('to err')
})

seen.refused = await docker
  .getSecret(secret.id)
  .remove()
  .then(
    () => 'removed',
    ({ statusCode, json }) => [statusCode, json?.message],
  )
await docker.getService(service.id).remove()
await until(async () => (await docker.listContainers()).every(({ Id }) => Id !== containerId))
await docker.getSecret(secret.id).remove()
seen.gone = await docker
  .getSecret(secret.id)
  .inspect()
  .then(
    () => 'still there',
    ({ statusCode }) => statusCode,
  )
process.stdout.write(JSON.stringify(seen))
