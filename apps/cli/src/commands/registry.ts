import type { Command } from 'commander'

export interface RegistryOptions {
  readonly port: number
  readonly host: string
  readonly auth: 'none' | 'basic' | 'bearer'
  /** Each `name:passwordFile:pattern`. */
  readonly user?: readonly string[]
  readonly repository: string
}

/** `conclave registry`: a small registry of images, to try image pull secrets with. */
export function registryCommand(program: Command): void {
  program
    .command('registry')
    .argument('[dir]', 'an OCI image layout to serve; without it, two sample images of two tenants')
    .description('serve container images to pull, and stay until Ctrl-C')
    .option('--port <port>', 'where to listen', Number, 5000)
    .option('--host <address>', 'on which address', '127.0.0.1')
    .option(
      '--auth <how>',
      'none, basic (a password each time) or bearer (a token for it)',
      'bearer',
    )
    .option(
      '--user <name:file:repositories...>',
      'a user, the file with the password, and what may be pulled, such as alice:alice.pw:tenant-a/*',
    )
    .option('--repository <name>', 'the repository that the images of [dir] are in', 'images')
    .addHelpText(
      'after',
      '\nExamples:\n  conclave registry --user alice:alice.pw:tenant-a/* bob:bob.pw:tenant-b/*' +
        '\n  conclave registry ./layout --repository team/app --auth none --port 5001',
    )
    .action(async (directory: string | undefined, options: RegistryOptions) => {
      const { serveRegistry } = await import('../serve-registry.ts')
      process.exit(await serveRegistry(directory, options))
    })
}
