import {
  ContainerRefused,
  ProgramRefused,
  type Container,
  type ContainerExit,
  type ContainerSpec,
  type ContainerUsage,
  type Exec,
  type ExecHow,
  type OutputChunk,
  type OutputWanted,
  type ProgramInput,
} from '@conclave/actors'
import {
  HostFailed,
  programOf,
  sandboxDirectory,
  type Binding,
  type Host,
  type ImageConfig,
  type ImageSource,
  type ImageWanted,
  type Owner,
  type FetchedFile,
  type UriSource,
  type UriWanted,
} from '@conclave/isolators'
import {
  ConclaveError,
  invariant,
  Redacted,
  utf8,
  wipe,
  type Clock,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import {
  FileSystemError,
  Machine,
  MachineNotRunning,
  signalNumber,
  signalName,
  TooManyProcesses,
  type Exit,
  type Mount,
  type ProcessOptions,
  type StartedProcess,
  type StdinWriter,
  type TerminalSize,
  type User,
} from '@conclave/shell'
import type { ArchiveFormat } from './archive.ts'
import { Copy } from './copy.ts'
import type { Executor } from './executor.ts'
import { ExecOutput } from './exec-output.ts'
import { execUserOf, type ExecUser } from './exec-user.ts'
import { accountsWith, layDown, rootUser } from './image.ts'
import { layImage, makeDirectories } from './lay-image.ts'
import { putIntoSandbox } from './put-into-sandbox.ts'
import { MemoryFileSystem } from './memory-file-system.ts'
import { OutputLog } from './output-log.ts'
import { SecretTmpfs } from './tmpfs.ts'

export interface ContainerLimits {
  /** All that the container may write outside its tmpfs. memfs itself knows no limit. */
  readonly volumeSizeBytesMax: number
  readonly inodesMax: number
  readonly processesMax: number
  readonly outputSizeBytesMax: number
}

export const usualContainerLimits: ContainerLimits = {
  volumeSizeBytesMax: 8 * 1_048_576,
  inodesMax: 16_384,
  processesMax: 64,
  outputSizeBytesMax: 1_048_576,
}

export interface MemoryContainerOptions {
  readonly spec: ContainerSpec
  readonly clock: Clock
  readonly random: Random
  readonly executor: Executor
  readonly limits: ContainerLimits
  /** Where images come from. Without any, no container has one. */
  readonly images?: ImageSource
  /** Who fetches URIs. Without anybody, none is fetched. */
  readonly uris?: UriSource
  /** How files are copied in and out. Without it, none are. */
  readonly archives?: ArchiveFormat
  /** Hears what was fetched into which container. */
  readonly onFetched?: (containerId: string, files: readonly FetchedFile[]) => void
  readonly onDestroyed: () => void
}

/** What programs on a terminal look for. Docker's own value. */
const ofTerminal = { TERM: 'xterm' }

const superuser = { uid: 0, gid: 0 }

/** The device number of the tmpfs; the container's own volume has 1. */
const tmpfsDevice = 2

/** One container: a file system in memory, a tmpfs for its secrets, and a machine that runs over both. */
export class MemoryContainer implements Container, Host {
  readonly fs: MemoryFileSystem
  readonly #options: MemoryContainerOptions
  #user: User
  readonly #environment = new Map<string, string | Uint8Array>()
  readonly #log: OutputLog
  readonly #execs = new Set<MemoryExec>()
  readonly #copies = new Set<Copy>()
  #tmpfs: SecretTmpfs | undefined
  #image: ImageConfig | undefined
  readonly #closing = new AbortController()
  #machine: Machine | undefined
  #started: StartedProcess | undefined
  #input: MachineInput | undefined
  #onExit: ((exit: ContainerExit) => void) | undefined
  #isDestroyed = false

  constructor(options: MemoryContainerOptions) {
    const { spec, clock, limits } = options
    this.#options = options
    const isRoot = spec.user.uid === 0
    this.#user = { ...spec.user, home: isRoot ? rootUser.home : sandboxDirectory }
    this.#log = new OutputLog(limits.outputSizeBytesMax, () => clock.nowMs())
    this.fs = new MemoryFileSystem(clock, {
      sizeBytesMax: limits.volumeSizeBytesMax,
      inodesMax: limits.inodesMax,
      blockSizeBytes: 1,
    })
    layDown(this.fs, this.#user, spec.hostname)
  }

  get host(): Host {
    return this
  }

  get tmpfs(): SecretTmpfs | undefined {
    return this.#tmpfs
  }

  /** For tests: the variable that the plan set. */
  variable(name: string): string | Uint8Array | undefined {
    return this.#environment.get(name)
  }

  // ── the plan ──────────────────────────────────────────────────────────────────────────────────

  async provisionImage(wanted: ImageWanted): Promise<void> {
    const { images } = this.#options
    if (images === undefined) throw new HostFailed('this machine gets no images')
    const image = await images.provision(wanted, this.#closing.signal)
    if (this.#isDestroyed) throw new HostFailed('the container has ended')
    layImage(this.fs, image)
    this.#image = image.config
    for (const [name, value] of image.config.environment) await this.setEnv(name, value)
  }

  async fetchUri(uri: UriWanted, owner: Owner): Promise<void> {
    const { uris, spec, onFetched } = this.#options
    if (uris === undefined) throw new HostFailed('this machine fetches no URIs')
    try {
      const files = await uris.filesOf(uri, this.#closing.signal)
      if (this.#isDestroyed) throw new HostFailed('the container has ended')
      putIntoSandbox(this.fs, files, owner)
      onFetched?.(spec.containerId, files)
    } catch (cause) {
      if (!(cause instanceof ConclaveError)) throw cause
      const { containerId } = spec
      throw new HostFailed(
        `Failed to fetch all URIs for container '${containerId}': ${cause.message}`,
        { cause },
      )
    }
  }

  async mountTmpfs(sizeBytes: number, inodes: number): Promise<void> {
    if (this.#tmpfs !== undefined) throw new HostFailed('the container has a tmpfs already')
    this.#tmpfs = new SecretTmpfs(tmpfsDevice, sizeBytes, inodes)
  }

  async writeFile(name: string, bytes: RedactedBytes, mode: number, owner: Owner): Promise<void> {
    if (this.#tmpfs === undefined) throw new HostFailed('the container has no tmpfs')
    this.#tmpfs.write(name, bytes.reveal(), mode, owner, this.#options.clock.nowMs())
  }

  async replaceFile(name: string, bytes: RedactedBytes): Promise<void> {
    const tmpfs = this.#tmpfs
    if (tmpfs === undefined) throw new HostFailed('the container has no tmpfs')
    const { before, after } = tmpfs.replace(name, bytes.reveal(), this.#options.clock.nowMs())
    this.fs.rebind(before, after)
    before.links = 0
    before.releaseIfUnused()
  }

  async bindFile(name: string, at: string, binding: Binding): Promise<void> {
    if (binding.mustExist === true && !this.fs.hasFile(at)) {
      throw new HostFailed(`Absolute container path '${at}' does not exist`)
    }
    const inode = this.#tmpfs?.file(name)
    if (inode === undefined) throw new HostFailed(`there is no file ${name} in the tmpfs`)
    const owner = at.startsWith(`${sandboxDirectory}/`) ? this.#user : rootUser
    try {
      this.fs.bind(at, inode, binding, owner)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      throw new HostFailed(refusal.message, { cause: refusal })
    }
  }

  async print(line: string): Promise<void> {
    this.#log.append('stdout', utf8(`${line}\n`))
  }

  async setEnv(name: string, value: string | RedactedBytes): Promise<void> {
    this.#forgetVariable(name)
    this.#environment.set(name, value instanceof Redacted ? value.reveal().slice() : value)
  }

  async clearEnv(): Promise<void> {
    for (const name of this.#environment.keys()) this.#forgetVariable(name)
    this.#environment.clear()
  }

  async unbindFile(at: string): Promise<void> {
    this.fs.unbind(at)
  }

  async unmountTmpfs(): Promise<void> {
    this.#tmpfs?.wipe()
    this.#tmpfs = undefined
  }

  // ── its life ──────────────────────────────────────────────────────────────────────────────────

  async start(onExit: (exit: ContainerExit) => void): Promise<void> {
    const { spec, clock, random, limits, executor } = this.#options
    invariant(!this.#isDestroyed && this.#machine === undefined, 'a container is started once')
    if (this.#isDocker) this.#becomeDockers()
    const machine = new Machine({
      fs: this.fs,
      clock,
      random,
      hostname: spec.hostname,
      users: accountsWith(this.#user),
      mounts: () => this.#mounts(),
      limits: { processes: limits.processesMax },
    })
    this.#machine = machine
    this.#onExit = onExit
    const program = {
      argv: this.#program(),
      env: this.#environmentWith(spec.terminal === undefined ? {} : ofTerminal),
      ...this.#surroundings(),
    }
    if (this.#isDocker) this.#demandFirstProgram(machine, program)
    const started = machine.start({
      ...program,
      ...(spec.terminal && { terminal: spec.terminal }),
      ...(spec.hasInput === true && { stdin: true }),
      stdout: (bytes) => this.#log.append('stdout', bytes),
      stderr: (bytes) => this.#log.append('stderr', bytes),
    })
    this.#started = started
    if (started.stdin !== undefined) this.#input = new MachineInput(started.stdin)
    machine.onExit(started.pid, (exit) => this.#ended(exit))
    this.#showHelpers(machine)
    executor.add(machine)
  }

  /** Beside the program, and not before it as in Mesos: here it is the machine's first process. */
  #showHelpers(machine: Machine): void {
    const { cwd, uid, gid } = this.#surroundings()
    for (const { argv, env, isRoot } of this.#options.spec.helpers?.reveal() ?? []) {
      const who = isRoot ? superuser : { uid, gid }
      machine.stand({ argv, env: new Map(Object.entries(env)), cwd, ...who })
    }
  }

  async exec(
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
    how: ExecHow = {},
  ): Promise<Exec> {
    const machine = this.#machine
    if (machine === undefined || machine.state === 'ended') {
      throw new ContainerRefused('the container is not running')
    }
    if (how.archive !== undefined) return this.#copy(how.archive)
    const program = { argv, ...this.#execSurroundings(env, how) }
    if (how.mustStart === true) this.#demandProgram(machine, program)
    const output = new ExecOutput(this.#options.limits.outputSizeBytesMax)
    try {
      const started = machine.exec({
        ...program,
        stdin: true,
        gate: output.gate,
        ...(how.terminal && { terminal: how.terminal }),
        stdout: (bytes) => output.append('stdout', bytes),
        stderr: (bytes) => output.append('stderr', bytes),
      })
      const exec: MemoryExec = new MemoryExec(machine, started, output, () =>
        this.#execs.delete(exec),
      )
      this.#execs.add(exec)
      return exec
    } catch (refusal) {
      const isKnown = refusal instanceof MachineNotRunning || refusal instanceof TooManyProcesses
      throw isKnown ? new ContainerRefused(refusal.message, { cause: refusal }) : refusal
    }
  }

  #copy(wanted: NonNullable<ExecHow['archive']>): Exec {
    const { archives } = this.#options
    if (archives === undefined) throw new ContainerRefused('this machine copies no files')
    const place = { files: this.fs.withoutBound(), archives, user: this.#user }
    const copy: Copy = new Copy(wanted, place, () => this.#copies.delete(copy))
    this.#copies.add(copy)
    return copy
  }

  /** What a program is run with, in the name of whoever was asked for. */
  #execSurroundings(
    env: Readonly<Record<string, string>>,
    { user, workdir, terminal }: ExecHow,
  ): Pick<ProcessOptions, 'env' | 'cwd' | 'uid' | 'gid'> {
    const own = this.#surroundings()
    const who: ExecUser | undefined =
      user === undefined || user === ''
        ? undefined
        : execUserOf(user, (path) => this.#contentOf(path))
    const added = {
      ...(terminal && ofTerminal),
      ...(who && { HOME: who.home }),
      ...env,
    }
    return {
      env: this.#environmentWith(added),
      cwd: workdir === undefined || workdir === '' ? own.cwd : workdir,
      uid: who?.uid ?? own.uid,
      gid: who?.gid ?? own.gid,
    }
  }

  /**
   * Docker looks for a user in the container's own files, and makes the working directory.
   *
   * @throws ContainerRefused
   */
  #becomeDockers(): void {
    const { workdir, command } = this.#options.spec
    if (workdir !== undefined && !workdir.startsWith('/')) {
      const why = `the working directory '${workdir}' is invalid, it needs to be an absolute path`
      throw new ContainerRefused(why)
    }
    makeDirectories(this.fs, workdir)
    const { name } = this.#user
    if (name === rootUser.name) return
    try {
      this.#user = { name, ...execUserOf(command?.user ?? name, (path) => this.#contentOf(path)) }
    } catch (refusal) {
      if (!(refusal instanceof ProgramRefused)) throw refusal
      throw new ContainerRefused(refusal.message, { cause: refusal })
    }
  }

  /** @throws ContainerRefused */
  #demandFirstProgram(machine: Machine, program: Parameters<Machine['refusalOf']>[0]): void {
    try {
      this.#demandProgram(machine, program)
    } catch (refusal) {
      if (!(refusal instanceof ProgramRefused)) throw refusal
      const of = 'OCI runtime create failed: runc create failed: unable to start container process'
      throw new ContainerRefused(`${of}: ${refusal.message}: unknown`, { cause: refusal })
    }
  }

  /** As runc would refuse it. @throws ProgramRefused */
  #demandProgram(
    machine: Machine,
    program: Pick<ProcessOptions, 'argv' | 'env' | 'cwd' | 'uid' | 'gid'>,
  ): void {
    const { argv, cwd = '/' } = program
    const [name = ''] = argv
    const inWorkdir = `chdir to cwd ("${cwd}") set in config.json failed`
    try {
      if (this.fs.stat(cwd, superuser).kind !== 'directory') {
        throw new ProgramRefused(126, `${inWorkdir}: not a directory`)
      }
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      throw new ProgramRefused(127, `${inWorkdir}: no such file or directory`)
    }
    const refused = machine.refusalOf(program)
    if (refused === undefined) return
    const why =
      refused.status === 126
        ? refused.why.toLowerCase()
        : name.includes('/')
          ? `stat ${name}: no such file or directory`
          : 'executable file not found in $PATH'
    throw new ProgramRefused(refused.status, `exec: "${name}": ${why}`)
  }

  #contentOf(path: string): Uint8Array | undefined {
    try {
      const file = this.fs.open(path, {}, superuser)
      const bytes = file.read(0, file.stat().sizeBytes)
      file.close()
      return bytes
    } catch (refusal) {
      if (refusal instanceof FileSystemError) return undefined
      throw refusal
    }
  }

  get input(): ProgramInput | undefined {
    return this.#input
  }

  resize(size: TerminalSize): void {
    if (this.#machine?.state !== 'ended') this.#started?.resize?.(size)
  }

  signal(name: string): void {
    const known = knownSignal(name)
    if (known !== undefined) this.#machine?.signal(1, known)
  }

  askToEnd(): void {
    const { stopSignal = 'TERM' } = this.#image ?? {}
    // As in Docker, where an image may say anything.
    this.signal(knownSignal(stopSignal) === undefined ? 'TERM' : stopSignal)
  }

  usage(): ContainerUsage {
    const { limits, executor } = this.#options
    const machine = this.#machine
    const { usedBytes: tmpfsBytes = 0, limits: tmpfsLimits } = this.#tmpfs?.storage ?? {}
    return {
      cpuMs: machine === undefined ? 0 : executor.cpuMsOf(machine),
      memoryBytes: this.fs.usedBytes + tmpfsBytes,
      memoryBytesMax: limits.volumeSizeBytesMax + (tmpfsLimits?.sizeBytesMax ?? 0),
      layerBytes: this.fs.usedBytes,
      processes: machine?.processes().length ?? 0,
      processesMax: limits.processesMax,
      readBytes: this.fs.readBytes,
      writtenBytes: this.fs.writtenBytes,
    }
  }

  output(wanted: OutputWanted, signal: AbortSignal): AsyncIterable<OutputChunk> {
    return this.#log.read(wanted, signal)
  }

  forgetOutput(): void {
    this.#log.forget()
  }

  async destroy(): Promise<void> {
    this.destroyNow()
  }

  /** Ends every process and overwrites files, tmpfs and variables, before it returns. */
  destroyNow(): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    this.#closing.abort()
    this.#kill()
    this.#tmpfs?.wipe()
    this.#tmpfs = undefined
    for (const name of this.#environment.keys()) this.#forgetVariable(name)
    this.#environment.clear()
    this.fs.wipe()
    this.#log.end()
    this.#options.onDestroyed()
  }

  /** A fault of the shell ended the machine: what runs in it runs no more. */
  faulted(): void {
    this.#ended({ exitCode: 139, signal: 'SEGV' })
  }

  isRunning(machine: Machine): boolean {
    return this.#machine === machine
  }

  #kill(): void {
    const machine = this.#machine
    if (machine === undefined) return
    this.#options.executor.remove(machine)
    try {
      machine.signal(1, 'KILL')
    } catch {
      // The fault of a program that was stopped in the middle: it is stopped all the same.
    }
    this.#ended({ exitCode: 137, signal: 'KILL' })
  }

  #ended({ exitCode, signal }: Exit): void {
    const onExit = this.#onExit
    if (onExit === undefined) return
    this.#onExit = undefined
    this.#log.end()
    this.#input?.end()
    for (const exec of this.#execs) exec.ended({ exitCode: 137, signal: 'KILL' })
    for (const copy of this.#copies) copy.signal()
    onExit(signal === undefined ? { exitCode } : { exitCode, signal })
  }

  /**
   * The machine does not change what it is given, and overwrites it when it ends; so do we. Whatever
   * runs in one container can therefore share one copy of each secret.
   */
  #environmentWith(added: Readonly<Record<string, string>>): Map<string, string | Uint8Array> {
    return new Map([...this.#environment, ...Object.entries(added)])
  }

  /** What is run: the command's program, or the image's where the command names none. */
  #program(): readonly string[] {
    const { argv, command } = this.#options.spec
    return command === undefined || this.#image === undefined
      ? argv
      : programOf(command, this.#image)
  }

  /** Begun as Docker begins containers, rather than Mesos. */
  get #isDocker(): boolean {
    return this.#options.spec.command?.docker_arguments === true
  }

  #surroundings(): { cwd: string; uid: number; gid: number } {
    const { workdir } = this.#options.spec
    const usual = this.#isDocker ? '/' : sandboxDirectory
    const cwd = workdir ?? this.#image?.workingDirectory ?? usual
    return { cwd, uid: this.#user.uid, gid: this.#user.gid }
  }

  #forgetVariable(name: string): void {
    const value = this.#environment.get(name)
    if (value instanceof Uint8Array) wipe(value)
  }

  #mounts(): readonly Mount[] {
    const { volumeSizeBytesMax } = this.#options.limits
    const root: Mount = {
      source: 'conclave',
      at: '/',
      type: 'memfs',
      options: `rw,size=${volumeSizeBytesMax / 1024}k`,
      sizeBytes: volumeSizeBytesMax,
      usedBytes: this.fs.usedBytes,
    }
    const { storage } = this.#tmpfs ?? {}
    if (storage === undefined) return [root]
    const sizeBytes = storage.limits.sizeBytesMax
    const own = `nosuid,nodev,noexec,size=${sizeBytes / 1024}k,mode=700`
    const files = this.fs.boundFiles.map(({ at, isReadOnly, mountOptions = own }): Mount => {
      const options = `${isReadOnly ? 'ro' : 'rw'},${mountOptions}`
      const usedBytes = storage.usedBytes
      return { source: 'tmpfs', at, type: 'tmpfs', options, sizeBytes, usedBytes }
    })
    return [root, ...files]
  }
}

/** `SIGTERM`, `term` or `15` as the shell calls it. */
function knownSignal(name: string) {
  const number = signalNumber(name)
  return number === undefined ? undefined : signalName(number)
}

/** Input that a program has not read when no more is taken; an exec is given up then. */
const backlogBytesMax = 16 * 1_048_576

/** What a program of a machine reads, and how much of it waits. */
class MachineInput implements ProgramInput {
  readonly #stdin: StdinWriter
  readonly #over = Promise.withResolvers<void>()
  #isFull = false
  /** Written since the program last read enough. */
  backlogBytes = 0

  constructor(stdin: StdinWriter) {
    this.#stdin = stdin
  }

  write(bytes: Uint8Array): void {
    // Nothing can make the sender wait, and input must not fill this process.
    if (this.backlogBytes > backlogBytesMax) return
    this.#isFull = !this.#stdin.write(bytes)
    this.backlogBytes = this.#isFull ? this.backlogBytes + bytes.length : 0
  }

  async taken(): Promise<void> {
    if (!this.#isFull) return
    const read = new Promise<void>((resolve) => this.#stdin.onTaken(resolve))
    await Promise.race([read, this.#over.promise])
  }

  /** Nobody reads any more. */
  end(): void {
    this.#isFull = false
    this.#over.resolve()
  }
}

class MemoryExec implements Exec {
  readonly exit: Promise<ContainerExit>
  readonly #machine: Machine
  readonly #started: StartedProcess
  readonly #input: MachineInput | undefined
  readonly #output: ExecOutput
  readonly #onEnd: () => void
  #resolve: (exit: ContainerExit) => void = () => {}

  constructor(machine: Machine, started: StartedProcess, output: ExecOutput, onEnd: () => void) {
    this.#machine = machine
    this.#started = started
    this.#input = started.stdin && new MachineInput(started.stdin)
    this.#output = output
    this.#onEnd = onEnd
    this.exit = new Promise((resolve) => {
      this.#resolve = resolve
    })
    machine.onExit(started.pid, (exit) => this.ended(exit))
  }

  output(signal: AbortSignal): AsyncIterable<OutputChunk> {
    return this.#output.read(signal)
  }

  write(bytes: Uint8Array): void {
    this.#input?.write(bytes)
    if ((this.#input?.backlogBytes ?? 0) > backlogBytesMax) this.signal('KILL')
  }

  async taken(): Promise<void> {
    await this.#input?.taken()
  }

  endInput(): void {
    this.#started.stdin?.end()
  }

  resize(size: TerminalSize): void {
    this.#started.resize?.(size)
  }

  signal(name: string): void {
    const known = knownSignal(name)
    if (known !== undefined) this.#machine.signal(this.#started.pid, known)
  }

  ended({ exitCode, signal }: Exit): void {
    this.#onEnd()
    this.#input?.end()
    this.#output.end()
    this.#resolve(signal === undefined ? { exitCode } : { exitCode, signal })
  }
}
