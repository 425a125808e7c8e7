import { box, boxContext } from '@conclave/crypto'
import { wipePlan } from '@conclave/isolators'
import { Redacted, wipe } from '@conclave/kernel'
import {
  AgentInfo,
  ContainerConfig,
  ContainerLaunchInfo,
  ExecutorInfo,
  fromProtobuf,
  parseExecutorCall,
  parseOurs,
  Task,
  ToAgent,
  type FromAgent,
  type Message,
} from '@conclave/model'
import { canary, findCanaries, ManualClock, SeededRandom, type Canary } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { describeLeftFiles } from '../../testing/left-files.contract.ts'
import { MemoryLeftFiles } from '../../testing/memory-left-files.ts'
import { AgentActor } from '../agent-actor.ts'
import type { AgentLimits } from '../agent-options.ts'
import type { AgentEffect } from '../agent-effect.ts'
import type { HelperProcess } from '../container-runtime.ts'

/*
 * What an agent leaves on its disk and shows of processes: the rows of the leak map (mesos.md §21) that are
 * no endpoint's, each in both modes.
 */

const value = {
  variable: canary('inline variable'),
  volume: canary('inline volume'),
  storedVariable: canary('stored variable'),
  storedVolume: canary('stored volume'),
  executor: canary('executor'),
  standalone: canary('standalone'),
}
const all = Object.values(value)

const sealed = (id: string) => ({ type: 'VALUE', value: { sealed: { id, envelope: 'AAAA' } } })
const reference = (name: string) => ({ type: 'REFERENCE', reference: { name } })
/** What the test's master opens each secret to. */
const opens: Readonly<Record<string, Canary>> = {
  variable: value.variable,
  volume: value.volume,
  executor: value.executor,
  'stored/variable': value.storedVariable,
  'stored/volume': value.storedVolume,
}

const variables = (...secrets: readonly object[]) => ({
  variables: secrets.map((secret, index) => ({ name: `V${index}`, type: 'SECRET', secret })),
})
const mesos = (...secrets: readonly object[]) => ({
  type: 'MESOS',
  volumes: secrets.map((secret, index) => ({
    mode: 'RO',
    container_path: `v${index}`,
    source: { type: 'SECRET', secret },
  })),
})
const spec = {
  command: {
    value: 'sleep 1',
    environment: variables(sealed('variable'), reference('stored/variable')),
  },
  container: mesos(sealed('volume'), reference('stored/volume')),
}

const valuesIn = (one: unknown): readonly Canary[] =>
  all.filter((each) => findCanaries(Buffer.from(JSON.stringify(one)), [each]).length > 0)

const agentInfo = parseOurs(AgentInfo, { hostname: 'box', resources: [] })

class Stage {
  readonly disk = new MemoryLeftFiles()
  readonly events: { readonly type: string; readonly at?: string }[] = []
  readonly helpers = new Map<string, readonly HelperProcess[]>()
  readonly actor: AgentActor
  /** Whether containers wait where their files are being put in place. */
  isHeld = false

  constructor(faithfulLeaks: boolean, limits: Partial<AgentLimits> = {}) {
    this.actor = new AgentActor({
      agentId: 'S0',
      info: agentInfo,
      runtime: 'memory',
      ipAddress: '10.0.0.7',
      clock: new ManualClock(),
      random: new SeededRandom(5),
      limits: { tickMs: 100, ...limits },
      faithfulLeaks,
      onWork: () => this.#work(),
    })
    this.tell({ kind: 'connected' })
    this.master({ type: 'registered', agentId: 'S0', heartbeatSeconds: 2 })
  }

  tell(input: Parameters<AgentActor['step']>[0]): this {
    this.actor.step(input)
    this.#work()
    return this
  }

  master(message: unknown): this {
    return this.tell({ kind: 'message', message: ToAgent.parse(message) })
  }

  launch(taskId: string, more: object = spec, checkpoint = true): this {
    return this.master({
      type: 'launch',
      frameworkId: 'f1',
      framework: { user: 'root', name: 'fw', checkpoint },
      containerId: `c-${taskId}`,
      task: { ...named(taskId), ...more },
    })
  }

  ended(containerId: string): this {
    return this.tell({ kind: 'exited', containerId, exit: { exitCode: 0 } }).tell({
      kind: 'destroyed',
      containerId,
    })
  }

  /** Where `one` can be read on the disk. */
  where(one: Canary): readonly string[] {
    return this.disk.paths.filter((path) => this.#has(this.disk.files.get(path)?.bytes, one))
  }

  /** The message in a file, which its length stands before. */
  read<T>(path: string, kind: Message<T>): T {
    const { bytes = new Uint8Array(4) } = this.disk.files.get(path) ?? {}
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    if (length !== bytes.length - 4) throw new Error(`${path} is longer than it says`)
    return fromProtobuf(kind, kind.name, bytes.subarray(4))
  }

  #has(bytes: Uint8Array | undefined, one: Canary): boolean {
    return findCanaries(bytes ?? new Uint8Array(0), [one]).length > 0
  }

  #work(): void {
    for (const effect of this.actor.takeEffects()) this.#carryOut(effect)
  }

  #carryOut(effect: AgentEffect): void {
    switch (effect.do) {
      case 'leave-file':
        this.disk.write(effect.at, effect.bytes, effect.mode)
        return wipe(effect.bytes)
      case 'remove-left':
        return this.disk.remove(effect.at)
      case 'send':
        if (effect.message.type === 'resolve') return this.#release(effect.message)
        if (effect.message.type !== 'events') return
        return void this.events.push(...(effect.message.events as { type: string }[]))
      case 'prepare': {
        const { containerId, helpers } = effect.spec
        wipePlan(effect.plan)
        this.helpers.set(containerId, helpers?.reveal() ?? [])
        if (this.isHeld) return
        return void this.tell({ kind: 'prepared', containerId })
      }
      case 'start':
        return void this.tell({ kind: 'started', containerId: effect.containerId })
      default:
    }
  }

  #release(question: Extract<FromAgent, { type: 'resolve' }>): void {
    const { requestId, taskId, containerId, publicKey } = question
    const resolutions = question.secrets.map(({ secret }) => {
      const { reference: named, value: inline } = secret
      const path = named?.name ?? `inline/${inline?.sealed?.id}`
      const opened = opens[named?.name ?? inline?.sealed?.id ?? '']
      if (opened === undefined) return { outcome: 'not-found', why: 'there is none' }
      const context = boxContext({ taskId, containerId, path, version: 1 })
      const to = Buffer.from(publicKey, 'base64')
      const boxed = box(to, new Redacted(opened.bytes), context, new SeededRandom(9))
      const sizeBytes = opened.bytes.length
      const text = Buffer.from(boxed).toString('base64')
      return { outcome: 'value', path, version: 1, sizeBytes, box: text }
    })
    this.master({ type: 'resolved', requestId, resolutions })
  }
}

const named = (id: string) => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'S0' },
  resources: [],
})

const executor = 'work_dir/meta/slaves/S0/frameworks/f1/executors/t1'
const container = 'runtime_dir/containers/c-t1'

describe('AG35: an agent that was not told to leak', () => {
  test('leaves no file and shows no process, whatever it runs and whoever checkpoints', async () => {
    const stage = new Stage(false).launch('t1')
    const launched = stage.actor.api.launch(standalone())
    await launched
    stage.ended('c-t1')

    expect(stage.disk.paths).toEqual([])
    expect([...stage.helpers]).toEqual([
      ['c-t1', []],
      ['alone', []],
    ])
    expect(stage.events.map(({ type }) => type)).not.toContain('secret.leaked')
  })
})

/** As an operator gives it: in plain text, to this agent alone. */
const standalone = () => ({
  name: 'alone',
  command: parseOurs(ExecutorInfo, {
    executor_id: { value: 'e' },
    command: {
      value: 'x',
      environment: variables({
        type: 'VALUE',
        value: { data: Buffer.from(value.standalone.bytes).toString('base64') },
      }),
    },
  }).command,
  container: undefined,
})

describe('AG35: an agent that leaks as Mesos does', () => {
  test('leaves the values of a command task where Mesos has them, and nowhere else', () => {
    const stage = new Stage(true)
    stage.isHeld = true
    stage.launch('t1')

    const copies = stage.disk.paths.filter((path) => path.includes('/.secret/'))
    expect(copies).toHaveLength(2)
    const [info, config] = [`${executor}/executor.info`, `${container}/config`]
    const task = `${executor}/runs/c-t1/tasks/t1/task.info`
    expect(stage.where(value.variable)).toEqual([config, `${container}/launch_info`, info])
    expect(stage.where(value.volume).filter((path) => !copies.includes(path))).toEqual([
      config,
      info,
      task,
    ])
    expect(stage.where(value.storedVariable)).toEqual([`${container}/launch_info`])
    expect(stage.where(value.storedVolume)).toEqual([expect.stringContaining('/.secret/c-t1/')])
    expect(stage.where(value.volume)).toContain(
      copies.find((path) => stage.where(value.storedVolume)[0] !== path),
    )
    expect(stage.disk.paths).toHaveLength(6)
    const modes = stage.disk.paths.map((path) => stage.disk.files.get(path)?.mode)
    expect(new Set(modes)).toEqual(new Set([0o600, 0o644]))
  })

  test('writes the messages that Mesos writes', () => {
    const stage = new Stage(true).launch('t1')

    const own = stage.read(`${executor}/executor.info`, ExecutorInfo)
    expect(own.executor_id.value).toBe('t1')
    expect(own.command?.environment?.variables[1]?.secret?.reference?.name).toBe('stored/variable')
    const task = stage.read(`${executor}/runs/c-t1/tasks/t1/task.info`, Task)
    expect([task.task_id.value, task.framework_id.value]).toEqual(['t1', 'f1'])
    const config = stage.read(`${container}/config`, ContainerConfig)
    expect(config.task_info?.container).toEqual(config.container_info)
    const launch = stage.read(`${container}/launch_info`, ContainerLaunchInfo)
    const ofTask = launch.task_environment?.variables
    expect(ofTask?.map(({ name, type }) => [name, type])).toEqual([
      ['V0', 'VALUE'],
      ['V1', 'VALUE'],
    ])
    expect(ofTask?.map((one) => one.value)).toEqual([
      value.variable.text,
      value.storedVariable.text,
    ])
    expect(launch.environment?.variables.map(({ name }) => name)).toContain('MESOS_SANDBOX')
  })

  test('removes a copy when it was moved, what is of a container with it, and keeps checkpoints', () => {
    const stage = new Stage(true)
    stage.isHeld = true
    stage.launch('t1')
    expect(stage.disk.paths.filter((path) => path.includes('/.secret/'))).toHaveLength(2)

    stage.tell({ kind: 'prepared', containerId: 'c-t1' })
    expect(stage.disk.paths.filter((path) => path.includes('/.secret/'))).toEqual([])
    expect(stage.disk.paths).toContain(`${container}/launch_info`)

    stage.ended('c-t1')
    expect(stage.disk.paths).toEqual([
      `${executor}/executor.info`,
      `${executor}/runs/c-t1/tasks/t1/task.info`,
    ])
  })

  test('removes them when a container cannot be made, and when a secret is refused', () => {
    const stage = new Stage(true)
    stage.isHeld = true
    stage.launch('t1', spec, false)
    stage.tell({ kind: 'prepared', containerId: 'c-t1', failure: 'no room' })
    expect(stage.disk.paths).toEqual([])

    stage.launch('t2', { ...spec, container: mesos(reference('nowhere')) })
    expect(stage.disk.paths).toEqual([
      'work_dir/meta/slaves/S0/frameworks/f1/executors/t2/executor.info',
      'work_dir/meta/slaves/S0/frameworks/f1/executors/t2/runs/c-t2/tasks/t2/task.info',
    ])
    expect(stage.where(value.variable)).toHaveLength(1)
  })

  test('checkpoints for frameworks that ask for it alone', () => {
    const stage = new Stage(true).launch('t1', spec, false)

    expect(stage.disk.paths).toEqual([`${container}/config`, `${container}/launch_info`])
  })

  test('collects the checkpoints of all but the newest runs, and an executor with its last', () => {
    const stage = new Stage(true, { endedOutputsMax: 2 })
    const runs = () =>
      new Set(stage.disk.paths.flatMap((path) => /executors\/(\w+)/.exec(path)?.[1] ?? []))
    for (const id of ['t1', 't2', 't3', 't4']) stage.launch(id).ended(`c-${id}`)
    expect(runs()).toEqual(new Set(['t3', 't4']))
    stage.launch('t5')
    expect(runs()).toEqual(new Set(['t3', 't4', 't5']))
  })

  test('shows the helpers of a command task, with its values in arguments and environment', () => {
    const stage = new Stage(true).launch('t1')

    const [helper, own] = stage.helpers.get('c-t1') ?? []
    expect(helper?.argv).toEqual(['mesos-containerizer', 'launch'])
    expect(helper?.isRoot).toBe(true)
    const inEnvironment = JSON.parse(helper?.env['MESOS_CONTAINERIZER_LAUNCH_INFO'] ?? '') as object
    expect(valuesIn(inEnvironment)).toEqual([value.variable, value.storedVariable])
    expect(own?.argv[0]).toBe('mesos-executor')
    expect(own?.argv.at(-1)).toBe(
      `--task_environment={"variables":[${['variable', 'storedVariable']
        .map((name, index) => {
          const { text } = value[name as 'variable' | 'storedVariable']
          return `{"name":"V${index}","type":"VALUE","value":"${text}"}`
        })
        .join(',')}]}`,
    )
    expect(own?.isRoot).toBe(false)
  })

  test('tells where each value lies now, by place and never by value', () => {
    const stage = new Stage(true).launch('t1')

    const leaked = stage.events.filter(({ type }) => type === 'secret.leaked')
    expect(leaked.map(({ at = '' }) => at.replace(/[0-9a-f-]{36}$/, 'ID'))).toEqual([
      `${executor}/executor.info`,
      `${executor}/runs/c-t1/tasks/t1/task.info`,
      `${container}/config`,
      'runtime_dir/.secret/c-t1/ID',
      'runtime_dir/.secret/c-t1/ID',
      `${container}/launch_info`,
      'mesos-containerizer launch: MESOS_CONTAINERIZER_LAUNCH_INFO',
      'mesos-executor --task_environment',
    ])
    expect(findCanaries(Buffer.from(JSON.stringify(stage.events)), all)).toEqual([])
  })

  test("leaves an executor's values with it, and those of its tasks once they are told", () => {
    const stage = new Stage(true).launch('t1', {
      container: mesos(sealed('volume')),
      executor: {
        executor_id: { value: 'own' },
        command: { value: 'x', environment: variables(sealed('executor')) },
      },
    })
    const meta = 'work_dir/meta/slaves/S0/frameworks/f1/executors/own'

    expect(stage.where(value.executor)).toEqual([
      `${container}/config`,
      `${container}/launch_info`,
      `${meta}/executor.info`,
    ])
    expect(stage.where(value.volume)).toEqual([`${meta}/runs/c-t1/tasks/t1/task.info`])
    const helpers = stage.helpers.get('c-t1') ?? []
    expect(helpers.map(({ argv }) => argv[0])).toEqual(['mesos-containerizer'])
    stage.actor.api.executorCall(
      undefined,
      parseExecutorCall({
        type: 'SUBSCRIBE',
        framework_id: { value: 'f1' },
        executor_id: { value: 'own' },
        subscribe: {},
      }),
      { send: () => undefined, close: () => undefined },
    )
  })

  test('leaves those of a group below its executor, and removes them when that is gone', () => {
    const stage = new Stage(true).master({
      type: 'launch-group',
      frameworkId: 'f1',
      framework: { user: 'root', name: 'fw', checkpoint: true },
      executor: { type: 'DEFAULT', executor_id: { value: 'group' } },
      tasks: [{ containerId: 'inner', task: { ...named('t1'), ...spec } }],
    })
    const [config = ''] = stage.where(value.storedVariable)
    const [root = ''] = /containers\/[^/]+/.exec(config) ?? []

    expect(config).toBe(`runtime_dir/${root}/containers/inner/launch_info`)
    expect(stage.where(value.volume)).toEqual([
      `runtime_dir/${root}/containers/inner/config`,
      expect.stringMatching(/executors\/group\/runs\/[^/]+\/tasks\/t1\/task.info$/),
    ])
    const parent = root.slice('containers/'.length)
    stage.ended(`${parent}.inner`)
    expect(stage.where(value.storedVariable)).toEqual([config])
    stage.ended(parent)
    expect(stage.disk.paths.filter((path) => path.startsWith('runtime_dir'))).toEqual([])
  })

  test('leaves what an operator gave to a container of its own', async () => {
    const stage = new Stage(true)
    await stage.actor.api.launch(standalone())

    expect(stage.where(value.standalone)).toEqual([
      'runtime_dir/containers/alone/config',
      'runtime_dir/containers/alone/launch_info',
    ])
  })

  test('leaves nothing of a DOCKER container, which Mesos gives to Docker', () => {
    const stage = new Stage(true).launch('t1', {
      command: { value: 'sleep 1' },
      container: { type: 'DOCKER', docker: { image: 'i' } },
    })

    expect(stage.disk.paths.filter((path) => path.startsWith('runtime_dir'))).toEqual([])
    expect(stage.helpers.get('c-t1')).toEqual([])
  })
})

describeLeftFiles('memory', () => {
  const left = new MemoryLeftFiles()
  return {
    left,
    read: (path) => {
      const file = left.files.get(path)
      return file && { text: Buffer.from(file.bytes).toString(), mode: file.mode }
    },
  }
})
