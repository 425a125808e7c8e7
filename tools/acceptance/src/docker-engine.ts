import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from './home.ts'
import { conclaveProgram, Program, runProgram, type Outcome } from './program.ts'
import { until } from './until.ts'

export interface DockerEngineOptions {
  /** More flags for `conclave engine`. */
  readonly args?: readonly string[]
}

/** A machine of its own, `conclave engine` as a process, and the real docker CLI that speaks to it. */
export class DockerEngine {
  readonly name: string
  readonly directory: string
  readonly #home: Home
  readonly #args: readonly string[]
  #program: Program

  private constructor(home: Home, name: string, args: readonly string[]) {
    this.#home = home
    this.name = name
    this.directory = home.file(name)
    this.#args = args
    this.#program = this.#run()
  }

  /** Resolves once its socket is there. */
  static async start(
    home: Home,
    name: string,
    { args = [] }: DockerEngineOptions = {},
  ): Promise<DockerEngine> {
    const engine = new DockerEngine(home, name, args)
    await engine.#untilReady()
    return engine
  }

  get pid(): number {
    return this.#program.child.pid ?? 0
  }

  get socket(): string {
    return `unix://${join(this.directory, 'docker.sock')}`
  }

  /** Where it listens, as it says itself. */
  get hosts(): readonly string[] {
    const line = this.#program.stdout.split('\n')[0] ?? '{}'
    return (JSON.parse(line) as { hosts?: readonly string[] }).hosts ?? []
  }

  get log(): string {
    return this.#program.stderr
  }

  docker(args: readonly string[], input = ''): Promise<Outcome> {
    const env = { ...this.#home.environment, DOCKER_HOST: this.socket }
    return runProgram('docker', args, { env, input })
  }

  /** What a command prints, once it ended well. @throws what it said when it did not */
  async out(args: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.docker(args, input)
    if (code === 0) return stdout.trim()
    throw new Error(`docker ${args.join(' ')} at ${this.name}: ${stderr.trim()}`)
  }

  /** What a command says that must not work. @throws when it does */
  async refusal(args: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.docker(args, input)
    if (code !== 0) return stderr.trim()
    throw new Error(`docker ${args.join(' ')} at ${this.name} worked: ${stdout}`)
  }

  async kill(): Promise<void> {
    await this.#program.end('SIGKILL')
  }

  async restart(): Promise<void> {
    this.#program = this.#run()
    await this.#untilReady()
  }

  async stop(): Promise<number | null> {
    return (await this.#program.end()).code
  }

  #run(): Program {
    return new Program(
      process.execPath,
      [conclaveProgram, 'engine', '--data', this.directory, '--hostname', this.name, ...this.#args],
      { env: this.#home.environment },
    )
  }

  async #untilReady(): Promise<void> {
    const program = this.#program
    await until(
      `the engine ${this.name} is ready, or has ended`,
      () => program.hasEnded || (program.stdout.includes('"ready":true') && this.#isThere()),
    )
    if (program.hasEnded) throw new Error(`the engine ${this.name} ended: ${program.stderr}`)
  }

  #isThere(): boolean {
    return this.hosts.every((host) => !host.startsWith('unix://') || existsSync(host.slice(7)))
  }
}
