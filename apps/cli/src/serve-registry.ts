import { readFile } from 'node:fs/promises'
import { thisProcess } from '@conclave/assembly'
import { Redacted } from '@conclave/kernel'
import {
  ImageLibrary,
  loadLayout,
  RegistryServer,
  RegistryUsers,
  sampleImage,
  type RegistryUser,
} from '@conclave/registry'
import type { RegistryOptions } from './commands/registry.ts'
import { CommandFailed } from './failure.ts'
import { print } from './output.ts'

/** Serves images until it is told to stop. @returns the exit code */
export async function serveRegistry(
  directory: string | undefined,
  options: RegistryOptions,
): Promise<number> {
  const { port, host, auth } = options
  if (!['none', 'basic', 'bearer'].includes(auth)) {
    throw new CommandFailed('usage', '--auth is none, basic or bearer')
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new CommandFailed('usage', '--port is a port')
  }
  if ((auth === 'none') !== (options.user === undefined)) {
    throw new CommandFailed('usage', 'users and a way to ask for them go together: --user, --auth')
  }
  const library = await libraryOf(directory, options.repository)
  const users = await Promise.all((options.user ?? []).map(userOf))
  const ended = thisProcess.ended(false)
  const registry = await RegistryServer.start({
    library,
    host,
    port,
    ...(auth !== 'none' && { users: new RegistryUsers(users), scheme: auth }),
  })
  const images = library.repositories.flatMap((repository) =>
    (library.tags(repository) ?? []).map((tag) => `${registry.host}/${repository}:${tag}`),
  )
  print(`${JSON.stringify({ ready: true, registry: registry.host, images })}\n`)
  await ended
  await registry.close()
  return 0
}

async function libraryOf(directory: string | undefined, repository: string): Promise<ImageLibrary> {
  const library = new ImageLibrary()
  if (directory === undefined) {
    library.add('tenant-a/app', '1', await sampleImage('tenant-a', 'oci'))
    library.add('tenant-b/app', '1', await sampleImage('tenant-b', 'docker'))
  } else {
    await loadLayout(directory, repository, library)
  }
  return library
}

async function userOf(text: string): Promise<RegistryUser> {
  const [name = '', file = '', ...patterns] = text.split(':')
  if (name === '' || file === '' || patterns.length !== 1) {
    throw new CommandFailed('usage', '--user is name:file:repositories')
  }
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new CommandFailed('usage', `the password file of ${name} cannot be read`, { cause })
  })
  // As everywhere, one newline at the end is the editor's.
  const end = bytes.at(-1) === 0x0a ? -1 : undefined
  return {
    name,
    password: new Redacted(bytes.subarray(0, end)),
    repositories: patterns[0]?.split(',') ?? [],
  }
}
