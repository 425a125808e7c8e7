import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killPrograms, repository } from './program.ts'

const homes = new Set<string>()
process.once('exit', () => {
  for (const directory of homes) remove(directory)
})

/**
 * A home directory for one suite, with a temporary directory below it: so neither the user's context
 * nor the tests of others are touched, and what a command leaves behind is seen. Gone at the latest
 * when this process ends.
 */
export class Home {
  readonly directory: string

  constructor() {
    this.directory = mkdtempSync(join(realpathSync(tmpdir()), 'conclave-acceptance-'))
    homes.add(this.directory)
    mkdirSync(this.temporary)
  }

  get temporary(): string {
    return join(this.directory, 'tmp')
  }

  /** Where `conclave` keeps who it talks to. */
  get context(): string {
    return join(this.directory, 'context.json')
  }

  file(name: string): string {
    return join(this.directory, name)
  }

  /** What a program is started with: this home, and nothing of what the shell says about Conclave. */
  get environment(): Record<string, string> {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(CONCLAVE_|npm_|NODE_OPTIONS$|VITEST|FORCE_COLOR$)/.test(name),
    )
    return {
      ...(Object.fromEntries(inherited) as Record<string, string>),
      HOME: this.directory,
      USERPROFILE: this.directory,
      TMPDIR: this.temporary,
      npm_config_update_notifier: 'false',
      // Where `conclave up` has Node keep what it made of our TypeScript: a hundred commands start sooner.
      NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/conclave'),
      CONCLAVE_CONTEXT: this.context,
      NO_COLOR: '1',
    }
  }

  /** Whatever still runs in it, because a test failed half-way, is ended first. */
  remove(): void {
    killPrograms()
    remove(this.directory)
    homes.delete(this.directory)
  }
}

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}
