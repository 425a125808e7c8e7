import { readFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Canary, missingServer } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  dockerPrograms,
  EngineClient,
  Naming,
  parseTranscript,
  runProgram,
  transcriptText,
  keeperOf,
  until,
  whereValuesAre,
  type Entry,
} from '../src/index.ts'

/*
 * The tutorial's commands, word for word but for the machine that it makes, with each docker CLI that is
 * here. Source: reference docker-swarm.md A11, walkthrough.json.
 */

const why = missingServer('docker')
const expected = readFileSync(
  new URL('../testdata/docker-swarm/tutorial.txt', import.meta.url),
  'utf8',
)

let cluster: Conclave
let socket: string

/** A shell in which `docker` is this one, and asks our Engine. */
class Terminal {
  readonly #environment: Readonly<Record<string, string>>
  readonly #containers = new Map<string, string>()

  constructor(docker: string) {
    const bin = cluster.home.file(`bin-${docker.replaceAll('/', '-')}`)
    mkdirSync(bin)
    symlinkSync(docker, join(bin, 'docker'))
    const { environment } = cluster.home
    const path = `${bin}${delimiter}${environment['PATH'] ?? ''}`
    this.#environment = { ...environment, PATH: path, DOCKER_HOST: socket }
  }

  /** What a command prints, errors too, as on a terminal; and how it ended, where not well. */
  async type(command: string): Promise<string> {
    const typed = command.replace(
      /\{(\w+)\}/,
      (_, service: string) => this.#containers.get(service) ?? '',
    )
    // `-t` wants a terminal: script(1) is one.
    const [program, args] = typed.includes(' -it ')
      ? ['script', ['-qec', typed, '/dev/null']]
      : ['sh', ['-c', `${typed} 2>&1`]]
    const { code, stdout: said } = await runProgram(program, args, { env: this.#environment })
    // How script(1) writes the end of its own input.
    const stdout = said.replaceAll('^@', '').replaceAll('^D\b\b', '')
    for (const [, id, service] of stdout.matchAll(
      /^([0-9a-f]{12}) .* (\w+)\.\d+\.[0-9a-z]{25}\s*$/gm,
    ))
      this.#containers.set(service ?? '', id ?? '')
    return code === 0 ? stdout : `${stdout}[${code}]\n`
  }
}

describe.skipIf(why !== undefined)(`DK7: the Swarm tutorial ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start(['--masters', '1', '--agents', '1'])
    socket = cluster.ready.masters[0]?.listeners['docker'] ?? ''
  })
  afterAll(() => cluster?.stop())

  test.each(why === undefined ? dockerPrograms() : [])(
    'prints what it should with %s, and leaves no value anywhere',
    async (docker, version) => {
      process.stdout.write(`the tutorial with ${docker}: ${version}\n`)
      const terminal = new Terminal(docker)
      try {
        const naming = new Naming()
        const entries: Entry[] = []
        for (const { command } of parseTranscript(expected)) {
          const printed = naming.name(await terminal.type(command))
          entries.push({ command, printed })
        }
        expect(transcriptText(entries)).toBe(expected)

        expect(naming.values).toHaveLength(2)
        const values = naming.values.map((value, at) => new Canary(value, `value ${at + 1}`))
        const engine = new EngineClient(socket)
        expect(await whereValuesAre(keeperOf(cluster), engine, values)).toEqual([])
        engine.close()
      } finally {
        // As on a new machine, for the next one.
        await terminal.type('docker service rm my_test_app my_other_test_app')
        await until('no container is left', async () => {
          return (await terminal.type('docker ps -q')) === ''
        })
        await terminal.type('docker secret rm my_secret my_new_secret')
        await terminal.type('docker swarm leave --force')
      }
    },
  )
})
