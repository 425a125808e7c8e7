import type { Conclave, Master } from './conclave.ts'
import { runProgram, type Outcome } from './program.ts'

/** The real docker CLI in front of one master, in the cluster's own home. */
export class DockerCli {
  readonly #cluster: Conclave
  readonly #socket: string
  readonly #program: string

  /** @param program another one than that on the PATH */
  constructor(cluster: Conclave, { listeners }: Master, program = 'docker') {
    this.#cluster = cluster
    this.#socket = listeners['docker'] ?? ''
    this.#program = program
  }

  run(args: readonly string[], input: string | Uint8Array = ''): Promise<Outcome> {
    const env = this.#cluster.home.environment
    return runProgram(this.#program, ['-H', this.#socket, ...args], { env, input })
  }

  /** What a command prints, once it ended well and complained of nothing. */
  async out(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args)
    if (code !== 0 || stderr !== '') throw new Error(saidOf(args, code, stderr))
    return stdout.trim()
  }

  /** What a command that must not end well complains of. */
  async fault(...args: readonly string[]): Promise<string> {
    const { code, stderr } = await this.run(args)
    if (code !== 1) throw new Error(saidOf(args, code, stderr))
    return stderr.trim()
  }

  async secret(name: string, value: string): Promise<string> {
    const args = ['secret', 'create', name, '-']
    const { code, stdout, stderr } = await this.run(args, value)
    if (code !== 0) throw new Error(saidOf(args, code, stderr))
    return stdout.trim()
  }

  /** One JSON document for each object that is inspected. */
  async inspected<T>(...args: readonly string[]): Promise<readonly T[]> {
    return JSON.parse(await this.out(...args)) as T[]
  }

  /** What a program prints in each container of a service that runs. */
  async inside(service: string, ...program: readonly string[]): Promise<readonly string[]> {
    const ids = await this.lines('ps', '-q', '-f', `name=${service}.`)
    return Promise.all(ids.map((id) => this.out('exec', id, ...program)))
  }

  /** The lines that a list prints of each object. */
  async lines(...args: readonly string[]): Promise<readonly string[]> {
    const text = await this.out(...args)
    return text === '' ? [] : text.split('\n')
  }
}

const saidOf = (args: readonly string[], code: number | null, stderr: string): string =>
  `${args.join(' ')} ended with ${code}: ${stderr.trim()}`
