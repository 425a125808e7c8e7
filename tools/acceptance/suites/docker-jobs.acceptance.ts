import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { canary, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, DockerCli, dockerPrograms, runProgram, until } from '../src/index.ts'

/*
 * Jobs by the real docker CLI, with each that is here: it waits for them itself, by what it asks of the service
 * and of its tasks five times a second.
 */

const why = missingServer('docker')
const key = canary('key')
const hash = createHash('sha256').update(key.text).digest('hex')
const programs = why === undefined ? dockerPrograms() : [['docker', 'docker'] as const]

let cluster: Conclave
let docker: DockerCli
/** Tasks whose secrets an agent has said it forgot. */
const forgotten = new Set<string>()

const create = (...args: readonly string[]): Promise<string> =>
  docker.out('service', 'create', '--no-resolve-image', ...args)

/** `0/1 (1/1 completed)`, as `docker service ls` shows it. */
const progress = (name: string): Promise<string> =>
  docker.out('service', 'ls', '-f', `name=${name}`, '--format', '{{.Mode}} {{.Replicas}}')

const tasks = (name: string): Promise<readonly string[]> => {
  const format = '{{.Name}} {{.DesiredState}} {{.CurrentState}} {{.Error}}'
  return docker.lines('service', 'ps', '--no-trunc', '--format', format, name)
}

const iteration = async (name: string): Promise<number> => {
  const format = '{{.JobStatus.JobIteration.Index}}'
  return Number(await docker.out('service', 'inspect', '-f', format, name))
}

/** `docker service create` of a job that shows which secret it was given. */
const withKey = (name: string, ...args: readonly string[]): Promise<string> =>
  create('--name', name, '--secret', 'key', ...args, 'busybox', 'sha256sum', '/run/secrets/key')

describe.skipIf(why !== undefined).each(programs)(
  `DK47: jobs by %s, %s ${why ?? ''}`,
  (program) => {
    beforeAll(async () => {
      cluster = await Conclave.start([])
      const leader = await cluster.leader()
      docker = new DockerCli(cluster, leader, program)
      void cluster.hear(leader, 'secret.forgotten', ({ taskId }) => void forgotten.add(taskId))
      await docker.out('swarm', 'init', '--advertise-addr', '192.168.99.100')
      await docker.secret('key', key.text)
    })
    afterAll(() => cluster?.stop())

    test('are waited for: three times, two at once', async () => {
      const job = ['--mode', 'replicated-job', '--replicas', '3', '--max-concurrent', '2']
      const said = await withKey('batch', ...job)
      expect(said).toContain('active tasks: 0 out of 0 tasks')
      expect(said.endsWith('job complete')).toBe(true)
    })

    test('are listed with what they have completed, and tasks that are complete', async () => {
      expect(await progress('batch')).toBe('replicated job 0/2 (3/3 completed)')
      const shown = (await tasks('batch')).toSorted()
      expect(shown).toHaveLength(3)
      expect(shown[0]).toMatch(/^batch\.1 Complete Complete .* ago/)
      expect(shown[1]).toMatch(/^batch\.2 Complete Complete .* ago/)
      expect(shown[2]).toMatch(/^batch\.[0-9a-z]{25} Complete Complete .* ago/)
      expect(await docker.lines('service', 'ls', '-q', '-f', 'mode=replicated-job')).toHaveLength(1)
      expect(await docker.out('service', 'inspect', '--pretty', 'batch')).toContain(
        'Service Mode:\n',
      )
    })

    test('have had their secret, which is forgotten with each of them', async () => {
      const { stdout } = await docker.run(['service', 'logs', '--raw', 'batch'])
      const line = `${hash}  /run/secrets/key`
      expect(stdout.trim().split('\n')).toEqual([line, line, line])

      const ids = await docker.lines('service', 'ps', '-q', '--no-trunc', 'batch')
      await until('all is forgotten', () =>
        ids.every((id) => [...forgotten].some((taskId) => taskId.endsWith(`.${id}`))),
      )
      for (const { directory } of cluster.ready.agents) {
        expect((await scanDirectory(directory, [key])).hits).toEqual([])
      }
      expect(await docker.fault('secret', 'rm', 'key')).toContain("secret 'key' is in use by")
    })

    test('are shown as they go on a terminal', async () => {
      const command = [program, 'service update --no-resolve-image --force batch'].join(' ')
      const DOCKER_HOST = (await cluster.leader()).listeners['docker'] ?? ''
      const env = { ...cluster.home.environment, DOCKER_HOST }
      // script(1) is a terminal.
      const { code, stdout } = await runProgram('script', ['-qec', command, '/dev/null'], { env })
      expect(code).toBe(0)
      expect(stdout).toContain('job progress: 3 out of 3 complete')
      for (const slot of [1, 2, 3]) expect(stdout).toContain(`${slot}/3: complete`)
    })

    test('are run anew by force, by another number, and by the way back', async () => {
      const anew = ['service', 'update', '--no-resolve-image', '--force', 'batch']
      expect((await docker.out(...anew)).endsWith('job complete')).toBe(true)
      expect(await iteration('batch')).toBe(2)
      expect(await progress('batch')).toBe('replicated job 0/2 (3/3 completed)')

      const scaled = await docker.out('service', 'scale', 'batch=4')
      expect(scaled).toContain('batch scaled to 4')
      expect(scaled.endsWith('job complete')).toBe(true)
      expect(await progress('batch')).toBe('replicated job 0/2 (4/4 completed)')

      const back = await docker.out('service', 'rollback', 'batch')
      expect(back).toContain('rollback: manually requested rollback')
      expect(back.endsWith('job complete')).toBe(true)
      expect(await iteration('batch')).toBe(4)
      expect(await progress('batch')).toBe('replicated job 0/2 (3/3 completed)')
    })

    test('take no configuration of updates, and no other mode', async () => {
      expect(await docker.fault('service', 'update', '--update-delay', '1s', 'batch')).toContain(
        'Jobs may not have an update config',
      )
      expect(await docker.fault('service', 'update', '--replicas', '2', 'batch')).toContain(
        'replicas can only be used with replicated mode',
      )
    })

    test('let a secret go that they name no more', async () => {
      await docker.secret('old', 'old')
      await create(
        '--name',
        'late',
        '--secret',
        'old',
        '--mode',
        'replicated-job',
        'busybox',
        'true',
      )
      const without = ['--no-resolve-image', '--secret-rm', 'old', '--secret-add', 'key']
      await docker.out('service', 'update', ...without, 'late')
      expect(await docker.out('secret', 'rm', 'old')).toBe('old')
      await docker.out('service', 'rm', 'late')
    })

    test('run once on each node, also on one that comes back', async () => {
      await docker.out('node', 'update', '--availability', 'drain', 'agent-2')
      const said = await withKey('each', '--mode', 'global-job')
      expect(said.endsWith('job complete')).toBe(true)
      expect(await progress('each')).toBe('global job 0/0 (1/1 completed)')

      await docker.out('node', 'update', '--availability', 'active', 'agent-2')
      await until(
        'both have had it',
        async () => (await progress('each')) === 'global job 0/0 (2/2 completed)',
      )
      const again = await docker.out('service', 'update', '--no-resolve-image', '--force', 'each')
      expect(again.endsWith('job complete')).toBe(true)
      const shown = await tasks('each')
      expect(shown).toHaveLength(2)
      for (const line of shown) expect(line).toMatch(/^each\.[0-9a-z]{25} Complete Complete .* ago/)
      expect(await docker.fault('service', 'scale', 'each=2')).toContain(
        'scale can only be used with replicated or replicated-job mode',
      )
    })

    test('that fail are tried again as often as they may be', async () => {
      const policy = ['--restart-max-attempts', '1', '--restart-delay', '10ms']
      await create('-d', '--name', 'bad', ...policy, '--mode', 'replicated-job', 'busybox', 'false')
      await until('it was given up', async () => (await tasks('bad')).length === 2)
      await until('both have failed', async () =>
        (await tasks('bad')).every((line) => line.includes(' Shutdown Failed ')),
      )
      expect((await tasks('bad'))[0]).toContain('"task: non-zero exit (1)"')
      expect(await progress('bad')).toBe('replicated job 0/1 (0/1 completed)')
      await docker.out('service', 'rm', 'bad')
    })

    test('go while they run, with their containers', async () => {
      const job = ['--mode', 'replicated-job', '--replicas', '2', '--secret', 'key']
      await create('-d', '--name', 'long', ...job, 'busybox', 'sleep', '1000')
      await until(
        'both run',
        async () => (await progress('long')) === 'replicated job 2/2 (0/2 completed)',
      )
      expect(await docker.inside('long', 'sha256sum', '/run/secrets/key')).toEqual(
        Array(2).fill(`${hash}  /run/secrets/key`),
      )
      await docker.out('service', 'rm', 'long')
      await until(
        'no container is left',
        async () => (await docker.lines('ps', '-q', '-f', 'name=long.')).length === 0,
      )
    })

    test('are parts of stacks', async () => {
      const file = cluster.home.file('jobs.yml')
      writeFileSync(
        file,
        `
version: "3.8"
services:
  migrate:
    image: busybox
    command: ["sha256sum", "/run/secrets/key"]
    deploy: { mode: replicated-job, replicas: 2 }
    secrets: [key]
  clean:
    image: busybox
    command: ["true"]
    deploy: { mode: global-job }
secrets:
  key: { external: true }
`,
      )
      const deploy = ['stack', 'deploy', '--resolve-image', 'never', '-c', file, 'shop']
      const { code, stderr } = await docker.run(deploy)
      // The CLI of 20.10 has no jobs in stacks.
      const isKnown = !/unknown mode/i.test(stderr)
      expect(code).toBe(isKnown ? 0 : 1)
      if (!isKnown) return
      await until('both are complete', async () => {
        const all = await docker.lines('stack', 'services', '--format', '{{.Replicas}}', 'shop')
        return all.toSorted().join() === '0/0 (2/2 completed),0/2 (2/2 completed)'
      })
      await docker.run(['stack', 'rm', 'shop'])
    })

    test('leave nothing of a secret on any disk', async () => {
      await docker.out('service', 'rm', 'batch', 'each')
      expect(await docker.out('secret', 'rm', 'key')).toBe('key')
      const { hits } = await scanDirectory(cluster.ready.directory, [key])
      expect(hits).toEqual([])
    })
  },
)
