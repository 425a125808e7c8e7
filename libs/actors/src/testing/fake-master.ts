import { derivedObjectId } from '@conclave/crypto'
import { Redacted, utf8, wipe, type Clock, type RedactedBytes } from '@conclave/kernel'
import {
  coveringResources,
  parseSecretPath,
  secretResource,
  secretSizeBytesMax,
  superuserResource,
  type ConclaveEvent,
  type EventDraft,
  type Principal,
  type ResourceId,
  type SchedulerCall,
  type SecretMetadata,
  type TerminalSize,
} from '@conclave/model'
import { EventLog } from '../event-log.ts'
import {
  AccessDenied,
  RunNotFound,
  SecretChanged,
  SecretExists,
  SecretInUse,
  SecretNotFound,
  SecretTooLarge,
  SpecInvalid,
  TaskNotFound,
  TaskNotRunning,
  VersionConflict,
} from '../master/errors.ts'
import type {
  Action,
  AgentView,
  Caller,
  DeletedOnly,
  EventApi,
  FrameworkApi,
  FrameworkConnection,
  IdentityApi,
  MasterApi,
  MasterStatus,
  Member,
  PendingRuns,
  PlainAnswer,
  RunApi,
  RunView,
  SecretApi,
  SecretInput,
  SecretQuery,
  SecretValue,
  SessionOutput,
  TaskApi,
  ExecWanted,
  LogsWanted,
  TaskSession,
  TaskUsage,
  TaskView,
} from '../master/master-api.ts'
import type { AuthorityApi, AuthorityStatus } from '../master/authority/authority-api.ts'
import type { NodeApi, WorkloadApi } from '../master/workloads/workload-api.ts'
import type { MemberRole } from '../master/authority/authority-records.ts'
import { operatorResource } from '../master/resources.ts'
import type { StandingSecret } from '../master/secret-service.ts'
import { Signal } from '../signal.ts'
import { FakeNews } from './fake-news.ts'
import { FakeDocuments } from './fake-documents.ts'
import { FakeLock } from './fake-lock.ts'
import { FakeOperators } from './fake-operators.ts'
import { FakeMembers } from './fake-members.ts'
import { FakeState } from './fake-state.ts'
import { FakeWorkloads } from './fake-workloads.ts'

const standingClock: Clock = { nowMs: () => 1_700_000_000_000 }

/**
 * A master in memory, for tests of what stands in front of one: the whole {@link MasterApi}, with
 * users, grants, secrets and events, but nothing behind it. It leads until a test says otherwise.
 *
 * `admin` (password `admin-password`) may do everything, `guest` (`guest-password`) nothing.
 */
export class FakeMaster implements MasterApi {
  readonly identity = new FakeIdentity()
  readonly secrets: FakeSecrets
  readonly runs: FakeRuns
  readonly tasks: FakeTasks
  readonly frameworks: FakeFrameworks
  readonly operators: FakeOperators
  readonly events: FakeEvents
  readonly authority: FakeAuthority
  readonly lock: FakeLock
  readonly members: FakeMembers
  readonly documents: FakeDocuments
  readonly news = new FakeNews()
  readonly state: FakeState
  /** What the workloads and nodes of this master are on. */
  readonly scene: FakeWorkloads
  /** What {@link agents} lists. */
  agentViews: AgentView[] = []
  #status: MasterStatus
  #failure: Error | undefined

  constructor(clock: Clock = standingClock) {
    const self: Member = { masterId: 'master-1', listeners: {} }
    this.#status = {
      masterId: self.masterId,
      clusterId: 'cluster-1',
      state: 'running',
      role: 'leader',
      isVoter: true,
      term: 3,
      leader: self,
      isReady: true,
      appliedIndex: 7,
      commitIndex: 7,
      revision: 5,
      members: [self],
    }
    const door = (): void => this.#enter()
    this.events = new FakeEvents(clock, this.identity)
    const emit = (draft: EventDraft): void => this.events.log.append(draft)
    this.secrets = new FakeSecrets(this.identity, clock, emit, door, (path) =>
      this.scene.namesThatUse(path),
    )
    this.runs = new FakeRuns(clock, door)
    this.tasks = new FakeTasks(door)
    this.frameworks = new FakeFrameworks(door)
    this.operators = new FakeOperators(door)
    this.authority = new FakeAuthority(this.identity, door)
    const operatorsDoor = ({ principal }: Caller): void => {
      door()
      if (this.identity.allowed(principal, operatorResource, 'full')) return
      throw new AccessDenied(principal.uid, 'full', operatorResource)
    }
    this.lock = new FakeLock(operatorsDoor)
    this.documents = new FakeDocuments(clock, operatorsDoor)
    this.members = new FakeMembers(door)
    this.state = new FakeState(this.identity, door)
    this.scene = new FakeWorkloads(this.identity, clock, emit, door, (path) =>
      this.secrets.standing(path),
    )
  }

  get workloads(): WorkloadApi {
    return this.scene.workloads
  }

  get nodes(): NodeApi {
    return this.scene.nodes
  }

  status(): MasterStatus {
    return this.#status
  }

  /** From now on somebody else leads, or nobody. */
  follow(leader?: Member): void {
    this.#status = { ...this.#status, role: 'follower', leader, isReady: false }
  }

  /** It leads, and holds all records of earlier terms or not yet. */
  lead(isReady = true): void {
    const [self] = this.#status.members
    this.#status = { ...this.#status, role: 'leader', leader: self, isReady }
  }

  /** What the next call that is asked for fails with. */
  failNext(error: Error): void {
    this.#failure = error
  }

  async agents(_caller: Caller): Promise<readonly AgentView[]> {
    this.#enter()
    return this.agentViews
  }

  #enter(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }
}

class FakeIdentity implements IdentityApi {
  /** Tokens that were right once. */
  readonly #seen = new Set<string>()
  readonly #passwords = new Map([
    ['admin', 'admin-password'],
    ['guest', 'guest-password'],
  ])
  readonly #grants = new Set(['admin full dcos:superuser'])
  /** Uids of services, and the login token that each would sign. */
  readonly serviceTokens = new Map<string, string>()
  /** Where each password and login token came from. */
  readonly sources: string[] = []
  #failure: Error | undefined

  /** What the next password or login token fails with. */
  failNext(error: Error): void {
    this.#failure = error
  }

  addUser(uid: string, password: string): void {
    this.#passwords.set(uid, password)
  }

  /** Ends the user, and with it the tokens that name it. */
  removeUser(uid: string): void {
    this.#passwords.delete(uid)
  }

  allow(uid: string, action: Action, resource: string): void {
    this.#grants.add(`${uid} ${action} ${resource}`)
  }

  /** What a login would answer. */
  tokenOf(uid: string): string {
    return ['fake', Buffer.from(uid).toString('base64url'), 'token'].join('.')
  }

  /** The header that a client with {@link tokenOf} sends. */
  headerOf(uid: string): { readonly authorization: string } {
    return { authorization: `token=${this.tokenOf(uid)}` }
  }

  async login(uid: string, password: RedactedBytes, source: string): Promise<string | undefined> {
    return (await this.authenticatePassword(uid, password, source)) && this.tokenOf(uid)
  }

  async loginService(uid: string, loginToken: string, source: string): Promise<string | undefined> {
    this.#enter(source)
    return this.serviceTokens.get(uid) === loginToken ? this.tokenOf(uid) : undefined
  }

  async authenticate(token: string): Promise<Principal | undefined> {
    const principal = this.#holderOf(token)
    if (principal !== undefined) this.#seen.add(token)
    return principal
  }

  remembered(token: string): Principal | undefined {
    return this.#seen.has(token) ? this.#holderOf(token) : undefined
  }

  #holderOf(token: string): Principal | undefined {
    const uid = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
    const isKnown = this.#passwords.has(uid) || this.serviceTokens.has(uid)
    return isKnown && this.tokenOf(uid) === token ? { uid } : undefined
  }

  async authenticatePassword(
    uid: string,
    password: RedactedBytes,
    source: string,
  ): Promise<Principal | undefined> {
    const given = Buffer.from(password.reveal()).toString()
    wipe(password)
    this.#enter(source)
    return this.#passwords.get(uid) === given ? { uid } : undefined
  }

  allowed({ uid }: Principal, resource: string, action: Action): boolean {
    const covering = [...coveringResources(resource as ResourceId), superuserResource]
    return covering.some((rid) =>
      [action, 'full'].some((held) => this.#grants.has(`${uid} ${held} ${rid}`)),
    )
  }

  async jwks(): Promise<{ readonly keys: readonly object[] }> {
    return { keys: [{ kty: 'RSA', use: 'sig', alg: 'RS256', kid: '00ff', n: 'AQAB', e: 'AQAB' }] }
  }

  #enter(source: string): void {
    this.sources.push(source)
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }
}

interface StoredVersion {
  readonly metadata: SecretMetadata
  readonly bytes: Uint8Array
}

class FakeSecrets implements SecretApi {
  readonly #identity: FakeIdentity
  readonly #clock: Clock
  readonly #emit: (draft: EventDraft) => void
  readonly #enter: () => void
  readonly #usersOf: (path: string) => readonly string[]
  readonly #versions = new Map<string, StoredVersion[]>()
  #revision = 5
  /** Every input that was handed over, to see that it was wiped. */
  readonly inputs: SecretInput[] = []
  /** Every value that was handed out, to see that it was wiped. */
  readonly values: RedactedBytes[] = []
  /** Who did what, in order: `admin read dev/db`. */
  readonly audit: string[] = []

  constructor(
    identity: FakeIdentity,
    clock: Clock,
    emit: (draft: EventDraft) => void,
    enter: () => void,
    usersOf: (path: string) => readonly string[],
  ) {
    this.#identity = identity
    this.#clock = clock
    this.#emit = emit
    this.#enter = enter
    this.#usersOf = usersOf
  }

  create(caller: Caller, path: string, input: SecretInput): Promise<SecretMetadata> {
    return this.#write(caller, 'create', path, input, (known) => {
      const paths = input.isAloneInAnyCase === true ? [...this.#versions.keys()] : []
      const hasTwin = paths.some((other) => other.toLowerCase() === path.toLowerCase())
      if (known.length > 0 || hasTwin) throw new SecretExists(path)
    })
  }

  update(
    caller: Caller,
    path: string,
    input: SecretInput,
    expectedVersion?: number,
  ): Promise<SecretMetadata> {
    return this.#write(caller, 'update', path, input, (known) => {
      if (known.length === 0) throw new SecretNotFound(path)
      if (expectedVersion !== undefined && expectedVersion !== known.length) {
        throw new VersionConflict(path, expectedVersion, known.length)
      }
    })
  }

  async read(caller: Caller, path: string, version?: number): Promise<SecretValue> {
    this.#check(caller, 'read', path)
    const known = this.#known(path)
    const found = version === undefined ? known.at(-1) : known[version - 1]
    if (found === undefined) throw new SecretNotFound(path, version)
    const bytes = new Redacted(Uint8Array.from(found.bytes))
    this.values.push(bytes)
    return { metadata: found.metadata, bytes }
  }

  async metadata(caller: Caller, path: string): Promise<SecretMetadata> {
    const [newest] = await this.versions(caller, path)
    if (newest === undefined) throw new SecretNotFound(path)
    return newest
  }

  async versions(caller: Caller, path: string): Promise<readonly SecretMetadata[]> {
    this.#check(caller, 'read', path)
    return this.#known(path)
      .map(({ metadata }) => metadata)
      .toReversed()
  }

  async relabel(
    caller: Caller,
    path: string,
    labels: Readonly<Record<string, string>>,
    expectedRevision?: number,
  ): Promise<SecretMetadata> {
    this.#check(caller, 'update', path)
    const known = this.#known(path)
    const newest = known.at(-1)
    if (newest === undefined) throw new SecretNotFound(path)
    const { metadata, bytes } = newest
    if (expectedRevision !== undefined && expectedRevision !== metadata.revision) {
      throw new SecretChanged(path)
    }
    const relabelled = { ...metadata, labels, revision: ++this.#revision }
    this.#versions.set(path, [...known.slice(0, -1), { metadata: relabelled, bytes }])
    return relabelled
  }

  async find(caller: Caller, by: SecretQuery): Promise<readonly SecretMetadata[]> {
    const all = await this.listMetadata(caller, '')
    return all.filter(({ path, id = '' }) => {
      if ('foldedPath' in by) return path.toLowerCase() === by.foldedPath.toLowerCase()
      return 'id' in by ? id === by.id : id.startsWith(by.idPrefix)
    })
  }

  async delete(caller: Caller, path: string, only: DeletedOnly = {}): Promise<void> {
    this.#check(caller, 'delete', path)
    const [known] = this.#known(path)
    if (only.ifId !== undefined && known?.metadata.id !== only.ifId) throw new SecretNotFound(path)
    const users = only.ifUnused === true ? this.#usersOf(path) : []
    if (users.length > 0) throw new SecretInUse(path, users)
    this.#versions.delete(path)
  }

  /** As {@link SecretService.standing}. */
  standing(path: string): StandingSecret | undefined {
    const id = this.#versions.get(path)?.[0]?.metadata.id
    const claim = { key: path, target: 'createRevision', is: '=', operand: 0 } as const
    return id === undefined ? undefined : { id, claim }
  }

  async list(caller: Caller, folder: string): Promise<readonly string[] | undefined> {
    const prefix = folder === '' ? '' : `${folder}/`
    const below = await this.listMetadata(caller, folder)
    const ids = below.map(({ path }) => path.slice(prefix.length))
    return ids.length === 0 && folder !== '' ? undefined : ids
  }

  async listMetadata(caller: Caller, folder: string): Promise<readonly SecretMetadata[]> {
    this.#enter()
    const prefix = folder === '' ? '' : `${folder}/`
    return [...this.#versions.values()]
      .flatMap((versions) => versions.at(-1)?.metadata ?? [])
      .filter(({ path }) => path.startsWith(prefix) && this.#may(caller, 'read', path))
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
  }

  async #write(
    caller: Caller,
    action: 'create' | 'update',
    path: string,
    input: SecretInput,
    check: (known: readonly StoredVersion[]) => void,
  ): Promise<SecretMetadata> {
    this.inputs.push(input)
    try {
      this.#check(caller, action, path)
      const known = this.#versions.get(path) ?? []
      check(known)
      const sizeBytes = input.bytes.reveal().length
      if (sizeBytes > secretSizeBytesMax) {
        throw new SecretTooLarge(`secret ${path}`, sizeBytes, secretSizeBytesMax)
      }
      const nowMs = this.#clock.nowMs()
      const metadata: SecretMetadata = {
        path: parseSecretPath(path),
        version: known.length + 1,
        kind: input.kind,
        sizeBytes,
        createdAtMs: known[0]?.metadata.createdAtMs ?? nowMs,
        updatedAtMs: nowMs,
        labels: input.labels ?? known.at(-1)?.metadata.labels ?? {},
        id: known[0]?.metadata.id ?? derivedObjectId(path, String(this.#revision)),
        revision: ++this.#revision,
      }
      const bytes = Uint8Array.from(input.bytes.reveal())
      this.#versions.set(path, [...known, { metadata, bytes }])
      const change = action === 'create' ? 'created' : 'updated'
      this.#emit({
        type: 'secret.stored',
        path,
        version: metadata.version,
        revision: this.#revision,
        change,
      })
      return metadata
    } finally {
      wipe(input.bytes)
    }
  }

  #check(caller: Caller, action: Action, path: string): void {
    this.#enter()
    this.audit.push(`${caller.principal.uid} ${action} ${path}`)
    if (!this.#may(caller, action, path)) {
      throw new AccessDenied(caller.principal.uid, action, secretResource(parseSecretPath(path)))
    }
  }

  #may({ principal }: Caller, action: Action, path: string): boolean {
    return this.#identity.allowed(principal, secretResource(parseSecretPath(path)), action)
  }

  #known(path: string): readonly StoredVersion[] {
    const known = this.#versions.get(path)
    if (known === undefined) throw new SecretNotFound(path)
    return known
  }
}

class FakeRuns implements RunApi {
  readonly #clock: Clock
  readonly #enter: () => void
  readonly #changed = new Signal()
  readonly #runs = new Map<string, { readonly view: RunView; readonly spec: unknown }>()

  constructor(clock: Clock, enter: () => void) {
    this.#clock = clock
    this.#enter = enter
  }

  /** What happened to a run meanwhile. */
  change(runId: string, change: Partial<RunView>): RunView {
    const run = this.#runs.get(runId)
    if (run === undefined) throw new RunNotFound(runId)
    const view = { ...run.view, ...change }
    this.#runs.set(runId, { ...run, view })
    this.#changed.raise()
    return view
  }

  async submit({ principal }: Caller, spec: unknown): Promise<RunView> {
    this.#enter()
    const name = (spec as { name?: unknown } | null)?.name
    if (typeof name !== 'string') throw new SpecInvalid('name', 'expected a text')
    const runId = `run-${this.#runs.size + 1}`
    const view: RunView = {
      runId,
      taskId: `task-${this.#runs.size + 1}`,
      frameworkId: undefined,
      agentId: undefined,
      name,
      submittedBy: principal.uid,
      submittedAtMs: this.#clock.nowMs(),
      state: 'PENDING',
      isTerminal: false,
      reason: undefined,
      message: undefined,
      exitCode: undefined,
    }
    this.#runs.set(runId, { view, spec })
    this.#changed.raise()
    return view
  }

  async get(_caller: Caller, runId: string): Promise<RunView> {
    this.#enter()
    const run = this.#runs.get(runId)
    if (run === undefined) throw new RunNotFound(runId)
    return run.view
  }

  async list(_caller: Caller): Promise<readonly RunView[]> {
    this.#enter()
    return [...this.#runs.values()].map(({ view }) => view)
  }

  async *watch(caller: Caller, runId: string, signal: AbortSignal): AsyncGenerator<RunView> {
    let told: RunView | undefined
    while (!signal.aborted) {
      const view = await this.get(caller, runId)
      if (view !== told) yield view
      told = view
      if (view.isTerminal) return
      if (this.#runs.get(runId)?.view === view) await this.#changed.wait(signal)
    }
  }

  async kill(caller: Caller, runId: string): Promise<RunView> {
    await this.get(caller, runId)
    return this.change(runId, { state: 'TASK_KILLED', isTerminal: true })
  }

  async *pending(_caller: Caller, signal: AbortSignal): AsyncGenerator<PendingRuns> {
    this.#enter()
    while (!signal.aborted) {
      const waiting = [...this.#runs.values()].filter(({ view }) => view.state === 'PENDING')
      const launch = waiting.map(({ view: { runId, taskId }, spec }) => ({ runId, taskId, spec }))
      yield { launch, kill: [] }
      await this.#changed.wait(signal)
    }
  }
}

class FakeTasks implements TaskApi {
  readonly #enter: () => void
  views: TaskView[] = []
  /** The sessions that were opened, newest last. */
  readonly sessions: FakeSession[] = []
  readonly logsWanted: LogsWanted[] = []
  readonly execsWanted: ExecWanted[] = []
  /** Such as `HUP to task-1`. */
  readonly signals: string[] = []
  /** What each question is answered; the last one stays. */
  usages: TaskUsage[] = []
  /** Such as `40x100 to task-1`. */
  readonly resizes: string[] = []

  constructor(enter: () => void) {
    this.#enter = enter
  }

  /** A task that runs. */
  add(taskId: string): TaskView {
    const view: TaskView = {
      taskId,
      frameworkId: 'framework-1',
      agentId: 'agent-1',
      name: 'a task',
      state: 'TASK_RUNNING',
      isTerminal: false,
      reason: undefined,
      message: undefined,
      updatedAtMs: standingClock.nowMs(),
    }
    this.views.push(view)
    return view
  }

  async list(_caller: Caller): Promise<readonly TaskView[]> {
    this.#enter()
    return this.views
  }

  async find(_caller: Caller, taskId: string): Promise<TaskView> {
    this.#enter()
    const found = this.views.find((view) => view.taskId.startsWith(taskId))
    if (found === undefined) throw new TaskNotFound(taskId)
    return found
  }

  async kill(caller: Caller, taskId: string): Promise<TaskView> {
    const found = await this.find(caller, taskId)
    const killed: TaskView = { ...found, state: 'TASK_KILLED', isTerminal: true }
    this.views = this.views.map((view) => (view === found ? killed : view))
    return killed
  }

  async logs(
    caller: Caller,
    taskId: string,
    wanted: Parameters<TaskApi['logs']>[2],
  ): Promise<TaskSession> {
    this.logsWanted.push(wanted)
    return this.#open(await this.find(caller, taskId), wanted.follow ? 'logs, followed' : 'logs')
  }

  async signal(caller: Caller, taskId: string, signal: string | undefined): Promise<void> {
    this.signals.push(
      `${signal ?? 'what asks it to end'} to ${(await this.find(caller, taskId)).taskId}`,
    )
  }

  async usage(caller: Caller, taskId: string): Promise<TaskUsage> {
    await this.find(caller, taskId)
    const next = this.usages.length > 1 ? this.usages.shift() : this.usages[0]
    if (next === undefined) throw new TaskNotRunning(taskId)
    return next
  }

  async resize(caller: Caller, taskId: string, { rows, columns }: TerminalSize): Promise<void> {
    this.resizes.push(`${rows}x${columns} to ${(await this.find(caller, taskId)).taskId}`)
  }

  async exec(
    caller: Caller,
    taskId: string,
    wanted: Parameters<TaskApi['exec']>[2],
  ): Promise<TaskSession> {
    this.execsWanted.push(wanted)
    const { argv, env } = wanted
    const variables = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`)
    return this.#open(await this.find(caller, taskId), [...variables, ...argv].join(' '))
  }

  #open({ taskId }: TaskView, asked: string): FakeSession {
    const session = new FakeSession(taskId, asked)
    this.sessions.push(session)
    return session
  }
}

/** A session whose container is the test. */
export class FakeSession implements TaskSession {
  readonly taskId: string
  /** `logs`, `logs, followed`, or the variables and arguments of an exec. */
  readonly asked: string
  /** What was put in, in order: text, `<signal NAME>`, `<end>`. */
  readonly input: string[] = []
  isClosed = false
  /** Nothing more is read from whoever writes until it resolves. */
  isFull: Promise<void> = Promise.resolve()
  readonly #outputs: SessionOutput[] = []
  readonly #changed = new Signal()
  readonly #closing = new AbortController()

  constructor(taskId: string, asked: string) {
    this.taskId = taskId
    this.asked = asked
  }

  /** The container prints `text`. */
  print(text: string, stream: 'stdout' | 'stderr' = 'stdout', atMs?: number): void {
    this.#put({ kind: 'data', stream, bytes: Buffer.from(text), atMs })
  }

  end(exitCode: number | undefined, error?: string): void {
    this.#put({ kind: 'end', exitCode, error })
  }

  async *output(): AsyncGenerator<SessionOutput> {
    for (let at = 0; !this.isClosed;) {
      const output = this.#outputs[at]
      if (output === undefined) {
        await this.#changed.wait(this.#closing.signal)
        continue
      }
      at++
      yield output
      if (output.kind === 'end') return
    }
  }

  write(bytes: Uint8Array): void {
    this.input.push(Buffer.from(bytes).toString())
  }

  async room(): Promise<void> {
    await this.isFull
  }

  endInput(): void {
    this.input.push('<end>')
  }

  resize({ rows, columns }: TerminalSize): void {
    this.input.push(`<resize ${rows}x${columns}>`)
  }

  signal(name: string): void {
    this.input.push(`<signal ${name}>`)
  }

  close(): void {
    this.isClosed = true
    this.#closing.abort()
  }

  #put(output: SessionOutput): void {
    this.#outputs.push(output)
    this.#changed.raise()
  }
}

class FakeFrameworks implements FrameworkApi {
  readonly #enter: () => void
  /** Calls that reached the master, oldest first. */
  readonly calls: {
    readonly uid: string
    readonly call: SchedulerCall
    readonly streamId?: string
  }[] = []
  /** Streams that are open, newest last. */
  readonly connections: FrameworkConnection[] = []
  /** What a call that is no SUBSCRIBE is answered. */
  answer: PlainAnswer = { status: 202, body: '' }
  /** The refusal of the next subscription. */
  refusal: PlainAnswer | undefined

  constructor(enter: () => void) {
    this.#enter = enter
  }

  subscribe(
    { principal }: Caller,
    call: SchedulerCall,
    connection: FrameworkConnection,
  ): PlainAnswer | undefined {
    this.#enter()
    this.calls.push({ uid: principal.uid, call })
    if (this.refusal !== undefined) return this.refusal
    this.connections.push(connection)
    const subscribed = { framework_id: { value: 'framework-1' }, heartbeat_interval_seconds: 5 }
    connection.send({ type: 'SUBSCRIBED', subscribed })
    connection.send({ type: 'HEARTBEAT' })
    return undefined
  }

  disconnected(connection: FrameworkConnection): void {
    const at = this.connections.indexOf(connection)
    if (at !== -1) this.connections.splice(at, 1)
  }

  call({ principal }: Caller, call: SchedulerCall, streamId: string | undefined): PlainAnswer {
    this.#enter()
    this.calls.push({ uid: principal.uid, call, ...(streamId === undefined ? {} : { streamId }) })
    return this.answer
  }
}

class FakeAuthority implements AuthorityApi {
  readonly #identity: FakeIdentity
  readonly #enter: () => void
  /** Of each role, the token that counts: the caller wipes what it is answered, not this. */
  readonly tokens = { master: `SWMTKN-1-${'0'.repeat(75)}`, agent: `SWMTKN-1-${'1'.repeat(75)}` }
  /** What was asked for, oldest first. */
  readonly asked: string[] = []
  view: AuthorityStatus = {
    rootPem: 'root 1\n',
    root: 'sha256:1',
    untilMs: 1_900_000_000_000,
    validityMs: 7_776_000_000,
    rotation: undefined,
    holders: [],
    promotions: [],
  }

  constructor(identity: FakeIdentity, enter: () => void) {
    this.#identity = identity
    this.#enter = enter
  }

  async joinToken(caller: Caller, role: MemberRole): Promise<RedactedBytes> {
    this.#demand(caller, `token ${role}`)
    return new Redacted(utf8(this.tokens[role]))
  }

  async rotateJoinToken(caller: Caller, role: MemberRole): Promise<RedactedBytes> {
    this.#demand(caller, `rotate token ${role}`)
    this.tokens[role] = this.tokens[role].replace(/.$/, 'z')
    return new Redacted(utf8(this.tokens[role]))
  }

  async status(caller: Caller): Promise<AuthorityStatus> {
    this.#demand(caller, 'status')
    return this.view
  }

  async rotate(caller: Caller): Promise<AuthorityStatus> {
    this.#demand(caller, 'rotate')
    return this.view
  }

  async setValidity(caller: Caller, validityMs: number): Promise<AuthorityStatus> {
    this.#demand(caller, `validity ${validityMs}`)
    this.view = { ...this.view, validityMs }
    return this.view
  }

  async promote(caller: Caller, agent: string): Promise<void> {
    this.#demand(caller, `promote ${agent}`)
    this.view = { ...this.view, promotions: [{ agent, masterId: undefined }] }
  }

  async forget(caller: Caller, role: MemberRole, id: string): Promise<void> {
    this.#demand(caller, `forget ${role} ${id}`)
  }

  #demand({ principal }: Caller, asked: string): void {
    this.#enter()
    if (!this.#identity.allowed(principal, operatorResource, 'full')) {
      throw new AccessDenied(principal.uid, 'full', operatorResource)
    }
    this.asked.push(asked)
  }
}

class FakeEvents implements EventApi {
  readonly log: EventLog
  readonly #identity: FakeIdentity

  constructor(clock: Clock, identity: FakeIdentity) {
    this.log = new EventLog('master-1', 'boot', clock, 64)
    this.#identity = identity
  }

  async *follow(
    { principal }: Caller,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<ConclaveEvent> {
    const resource = 'dcos:adminrouter:ops:mesos'
    if (!this.#identity.allowed(principal, resource, 'full')) {
      throw new AccessDenied(principal.uid, 'full', resource)
    }
    yield* this.log.follow(lastEventId, signal)
  }
}
