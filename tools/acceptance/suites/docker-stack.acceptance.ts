import { writeFileSync } from 'node:fs'
import { canary, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, DockerCli, until } from '../src/index.ts'

/*
 * A stack as people deploy it with the real docker CLI: three services, four secrets, of which one was there
 * before, and a config.
 */

const why = missingServer('docker')
const names = ['db_password', 'api_key', 'web_cert', 'shared'] as const
const secrets = names.map((name) => canary(name))
const textOf = (name: (typeof names)[number]): string => secrets[names.indexOf(name)]?.text ?? ''

const compose = (replicas: number): string => `
version: "3.8"
services:
  db:
    image: postgres:16
    command: ["sleep", "1000"]
    environment:
      POSTGRES_PASSWORD_FILE: /run/secrets/db_password
    secrets: [db_password]
  api:
    image: busybox
    command: ["sleep", "1000"]
    deploy:
      replicas: ${replicas}
      update_config: { parallelism: 0, monitor: 1ms, order: start-first }
    secrets:
      - db_password
      - source: api_key
        target: key
        uid: "1000"
        gid: "1000"
        mode: 0400
      - shared
  web:
    image: nginx
    command: ["sleep", "1000"]
    deploy:
      mode: global
      labels: { tier: front }
    secrets: [web_cert, shared]
    configs:
      - source: site
        target: /etc/nginx/site.conf
        mode: 0440
secrets:
  db_password: { file: ./db_password }
  api_key: { file: ./api_key }
  web_cert: { file: ./web_cert }
  shared: { external: true }
configs:
  site: { file: ./site.conf }
`

let cluster: Conclave
let docker: DockerCli
let file: string

const deploy = (): Promise<string> =>
  docker.out('stack', 'deploy', '-d', '--resolve-image', 'never', '-c', file, 'shop')

const replicas = (): Promise<readonly string[]> =>
  docker.lines('stack', 'services', '--format', '{{.Name}} {{.Replicas}}', 'shop')

const haveRun = (...wanted: readonly string[]): Promise<unknown> =>
  until(`the stack has ${wanted.join(', ')}`, async () => {
    const all = (await replicas()).toSorted()
    return all.length === wanted.length && wanted.every((line, at) => all[at] === line)
  })

/** What a program prints in one container of a service. */
async function inside(service: string, ...program: readonly string[]): Promise<string> {
  const [said = ''] = await docker.inside(service, ...program)
  return said
}

describe.skipIf(why !== undefined)(`DK9: a stack by the docker CLI ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start([])
    docker = new DockerCli(cluster, await cluster.leader())
    await docker.out('swarm', 'init', '--advertise-addr', '192.168.99.100')
    file = cluster.home.file('stack.yml')
    writeFileSync(file, compose(2))
    for (const name of names.slice(0, 3)) writeFileSync(cluster.home.file(name), textOf(name))
    writeFileSync(cluster.home.file('site.conf'), 'listen 80;\n')
    await docker.secret('shared', textOf('shared'))
  })
  afterAll(() => cluster?.stop())

  test('comes up with its networks, secrets, config and services', async () => {
    const said = await deploy()
    expect(said.split('\n').toSorted()).toEqual([
      'Creating config shop_site',
      'Creating network shop_default',
      'Creating secret shop_api_key',
      'Creating secret shop_db_password',
      'Creating secret shop_web_cert',
      'Creating service shop_api',
      'Creating service shop_db',
      'Creating service shop_web',
    ])
    await haveRun('shop_api 2/2', 'shop_db 1/1', 'shop_web 2/2')
    expect(await docker.out('stack', 'ls', '--format', '{{.Name}} {{.Services}}')).toBe('shop 3')
    const tasks = await docker.lines(
      'stack',
      'ps',
      '--format',
      '{{.Name}} {{.CurrentState}}',
      'shop',
    )
    expect(tasks).toHaveLength(5)
    expect(tasks.every((line) => line.includes('Running'))).toBe(true)
  })

  test('gives each container its secrets and configs, where and for whom it was said', async () => {
    expect(await inside('shop_db', 'cat', '/run/secrets/db_password')).toBe(textOf('db_password'))
    expect(await inside('shop_api', 'cat', '/run/secrets/key')).toBe(textOf('api_key'))
    expect(await inside('shop_api', 'stat', '-c', '%a %u %g', '/run/secrets/key')).toBe(
      '400 1000 1000',
    )
    expect(await inside('shop_api', 'ls', '/run/secrets')).toBe('db_password\nkey\nshared')
    expect(await inside('shop_web', 'cat', '/etc/nginx/site.conf')).toBe('listen 80;')
    expect(await inside('shop_web', 'cat', '/run/secrets/shared')).toBe(textOf('shared'))
  })

  test('is deployed again: what is the same stays, what differs changes, and secrets do not', async () => {
    const before = await docker.lines('service', 'ps', '-q', 'shop_db')
    writeFileSync(file, compose(3))
    const said = await deploy()
    expect(said).toContain('Updating service shop_api')
    await haveRun('shop_api 3/3', 'shop_db 1/1', 'shop_web 2/2')
    expect(await docker.lines('service', 'ps', '-q', 'shop_db')).toEqual(before)

    writeFileSync(cluster.home.file('api_key'), 'another')
    const refused = await docker.run([
      'stack',
      'deploy',
      '-d',
      '--resolve-image',
      'never',
      '-c',
      file,
      'shop',
    ])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('only updates to Labels are allowed')
  })

  test('keeps its secrets and its config as long as a service names them', async () => {
    expect(await docker.fault('secret', 'rm', 'shared')).toMatch(
      /secret 'shared' is in use by the following services: shop_api, shop_web$/,
    )
    expect(await docker.fault('config', 'rm', 'shop_site')).toMatch(
      /config 'shop_site' is in use by the following service: shop_web$/,
    )
  })

  test('goes as a whole, and leaves what was there before it', async () => {
    const { code, stdout } = await docker.run(['stack', 'rm', 'shop'])
    expect(code).toBe(0)
    expect(stdout).toContain('Removing service shop_api')
    for (const what of ['service', 'config']) expect(await docker.out(what, 'ls', '-q')).toBe('')
    expect(await docker.out('secret', 'ls', '--format', '{{.Name}}')).toBe('shared')
    expect(await docker.out('network', 'ls', '-q', '-f', 'name=shop_default')).toBe('')
    expect(await docker.out('stack', 'ls', '--format', '{{.Name}}')).toBe('')
    const { hits } = await scanDirectory(cluster.ready.directory, secrets)
    expect(hits).toEqual([])
  })
})
