import { createServer, request, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Conclave } from './conclave.ts'
import type { Home } from './home.ts'
import { runProgram } from './program.ts'

/** CI must have every client; elsewhere a suite says which it lacks. */
export const mustHavePeers = process.env['CONCLAVE_REQUIRE_PEERS'] === '1'

/**
 * Installs a client from the registry, as it is published, into a directory of its own.
 *
 * @returns the directory, or why it cannot be had
 */
export async function installClient(
  home: Home,
  name: string,
  version: string,
): Promise<{ readonly directory: string } | { readonly why: string }> {
  const directory = home.file(name)
  mkdirSync(directory)
  writeFileSync(join(directory, 'package.json'), '{"private":true}')
  const { HOME: _HOME, ...environment } = home.environment
  const { code, stderr } = await runProgram(
    'npm',
    ['install', `${name}@${version}`, '--ignore-scripts', '--no-audit', '--no-fund'],
    // The user's own home: the registry may be configured, and the package cached, there.
    {
      cwd: directory,
      env: { ...environment, ...(process.env['HOME'] && { HOME: process.env['HOME'] }) },
    },
  )
  if (code === 0) return { directory }
  return { why: `npm could not install ${name}@${version}: ${stderr.trim().split('\n')[0]}` }
}

/**
 * What stands before the leader for clients that know no login, as the Admin Router of DC/OS does: it
 * adds the token and changes nothing else, chunk by chunk.
 */
export async function loginGateway(cluster: Conclave): Promise<Server> {
  const token = await cluster.token()
  const server = createServer((asked, answered) => {
    void (async () => {
      const leader = await cluster.leader()
      const passed = request(new URL(asked.url ?? '/', leader.listeners['mesos']), {
        method: asked.method,
        headers: { ...asked.headers, authorization: `token=${token}` },
      })
      passed.on('error', () => answered.destroy())
      answered.on('close', () => passed.destroy())
      passed.on('response', (answer) => {
        answered.writeHead(answer.statusCode ?? 502, answer.headers)
        answered.flushHeaders()
        answer.on('data', (chunk: Buffer) => answered.write(chunk))
        answer.once('end', () => answered.end())
        answer.on('error', () => answered.destroy())
      })
      asked.pipe(passed)
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

export const portOf = (server: Server): number => (server.address() as AddressInfo).port
