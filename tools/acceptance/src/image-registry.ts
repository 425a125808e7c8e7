import { writeFileSync } from 'node:fs'
import type { Home } from './home.ts'
import { conclaveProgram, Program } from './program.ts'
import { until } from './until.ts'

/** Somebody who may pull what is below a name. */
export interface RegistryUser {
  readonly name: string
  readonly password: string
  /** Such as `tenant-a/*`. */
  readonly mayPull: string
}

/** `conclave registry`, as a process of its own. */
export class ImageRegistry {
  readonly host: string
  readonly #program: Program

  private constructor(program: Program, host: string) {
    this.#program = program
    this.host = host
  }

  static async start(home: Home, users: readonly RegistryUser[]): Promise<ImageRegistry> {
    const given = users.map(({ name, password, mayPull }) => {
      const file = home.file(`${name}.pw`)
      writeFileSync(file, password, { mode: 0o600 })
      return `${name}:${file}:${mayPull}`
    })
    const args = [conclaveProgram, 'registry', '--port', '0', '--user', ...given]
    const program = new Program(process.execPath, args, { env: home.environment })
    const isReady = (): boolean => program.stdout.includes('"ready":true')
    await until('the registry listens', () => isReady() || program.hasEnded)
    if (!isReady()) throw new Error(program.stderr)
    return new ImageRegistry(program, (JSON.parse(program.stdout) as { registry: string }).registry)
  }

  /** What a docker client keeps of a log-in here. */
  configOf(name: string, password: string): string {
    const auth = Buffer.from(`${name}:${password}`).toString('base64')
    return JSON.stringify({ auths: { [this.host]: { auth } } })
  }

  /** What it has printed. */
  get said(): string {
    return this.#program.stdout + this.#program.stderr
  }

  async end(): Promise<void> {
    await this.#program.end()
  }
}
