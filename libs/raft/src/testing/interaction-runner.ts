import { utf8 } from '@conclave/kernel'
import { type ConfChangeTransition, confChange } from '../conf-change.ts'
import { describeProgress } from '../describe.ts'
import type { NodeId, Snapshot } from '../entry.ts'
import { isEntries } from '../log.ts'
import { allVoters, emptyConfig } from '../membership.ts'
import { type Message, isLocalTarget, message, noBytes } from '../message.ts'
import type { Ready } from '../ready.ts'
import { parseChanges } from './changes.ts'
import {
  type Directive,
  ScriptMalformed,
  flagOf,
  numberFrom,
  valueOf,
  valuesOf,
  words,
} from './directive.ts'
import { InteractionNode } from './interaction-node.ts'
import { InteractionOutput } from './interaction-output.ts'
import { type TraceEvent, type TraceSink, traceEvent } from './trace.ts'
import {
  describeEntry,
  describeHardState,
  describeMessage,
  describeSnapshot,
} from './transcript.ts'

const electionTick = 3
const heartbeatTick = 1
const unlimited = Number.MAX_SAFE_INTEGER
/** More than any history needs: members that are busy longer answer each other without end. */
const roundsMax = 300

const transitions = new Map<string, ConfChangeTransition>([
  ['auto', 'ConfChangeTransitionAuto'],
  ['implicit', 'ConfChangeTransitionJointImplicit'],
  ['explicit', 'ConfChangeTransitionJointExplicit'],
])

/**
 * A group of members, and one queue of messages on their way, driven step by step. Beyond the usual
 * directives it knows `tick`, `read-index`, `crash`, `restart`, `partition`, `heal`, and `repeat-msgs`:
 * all that is on its way to a member comes once more, behind everything. Source: reference raft.md
 * §5.2, §5.6.
 */
export class InteractionRunner {
  readonly #output = new InteractionOutput()
  readonly #nodes: InteractionNode[] = []
  #messages: Message[] = []
  /** Which part of the network a member is in; all in one while it is whole. */
  #parts = new Map<NodeId, number>()
  readonly #trace: TraceSink | undefined

  /** @param trace is told of each step that a member takes */
  constructor(trace?: TraceSink) {
    this.#trace = trace
  }

  /** What the directive prints, or `ok`. */
  handle(directive: Directive): string {
    return this.#output.take(this.#run(directive))
  }

  /** Answers the text of an error, if there was one. */
  #run(directive: Directive): string | undefined {
    switch (directive.command) {
      case 'add-nodes':
        return this.#addNodes(directive)
      case 'campaign':
        this.#first(directive).node.campaign()
        return undefined
      case 'propose':
        return this.#first(directive).node.propose(utf8(words(directive)[1] ?? ''))?.message
      case 'propose-conf-change':
        return this.#proposeConfChange(directive)
      case 'process-ready':
        return this.#each(directive, 'handling Ready', (id) => this.#processReady(id))
      case 'process-append-thread':
        return this.#each(directive, 'processing append thread', (id) => this.#processAppend(id))
      case 'process-apply-thread':
        return this.#each(directive, 'processing apply thread', (id) => this.#processApply(id))
      case 'deliver-msgs':
        return this.#deliverMessages(directive)
      case 'repeat-msgs':
        return this.#repeatMessages(directive)
      case 'stabilize':
        return this.#stabilize(directive)
      case 'tick-election':
        return this.#tick(this.#firstId(directive), electionTick)
      case 'tick-heartbeat':
        return this.#tick(this.#firstId(directive), heartbeatTick)
      case 'tick':
        return this.#tick(this.#firstId(directive), this.#secondId(directive))
      case 'set-randomized-election-timeout': {
        const timeout = numberFrom(directive, valueOf(directive, 'timeout'))
        this.#first(directive).node.raft.randomizedElectionTimeout = timeout
        return undefined
      }
      case 'transfer-leadership': {
        const from = numberFrom(directive, valueOf(directive, 'from'))
        const to = numberFrom(directive, valueOf(directive, 'to'))
        this.#node(from).node.transferLeader(to)
        return undefined
      }
      case 'forget-leader':
        this.#first(directive).node.forgetLeader()
        return undefined
      case 'report-unreachable':
        this.#first(directive).node.reportUnreachable(this.#secondId(directive))
        return undefined
      case 'read-index':
        this.#first(directive).node.readIndex(utf8(words(directive)[1] ?? ''))
        return undefined
      case 'send-snapshot':
        return this.#sendSnapshot(this.#firstId(directive), this.#secondId(directive))
      case 'compact': {
        const error = this.#first(directive).storage.compact(this.#secondId(directive))
        return error === undefined ? this.#printLog(this.#first(directive)) : error.message
      }
      case 'raft-log':
        return this.#printLog(this.#first(directive))
      case 'raft-state':
        return this.#printStates()
      case 'status':
        return this.#printStatus(this.#first(directive))
      case 'log-level':
        this.#output.setLevel(words(directive)[0])
        return undefined
      case 'crash':
        return this.#crash(directive)
      case 'restart':
        this.#first(directive).restart()
        this.#note('Start', this.#firstId(directive))
        return undefined
      case 'partition':
        return this.#partition(directive)
      case 'heal':
        this.#parts.clear()
        return undefined
      default:
        throw new ScriptMalformed(`line ${directive.line}: unknown ${directive.command}`)
    }
  }

  // Members

  #addNodes(directive: Directive): string | undefined {
    const count = numberFrom(directive, words(directive)[0])
    const voters = this.#ids(directive, 'voters')
    const learners = this.#ids(directive, 'learners')
    const index = this.#limit(directive, 'index', 0)
    const isFounded = voters.length > 0 || learners.length > 0 || index > 0
    if (isFounded && index <= 1) return 'index must be specified as > 1 due to bootstrap'
    const first: Snapshot = {
      meta: { index, term: 1, confState: { ...emptyConfig, voters, learners } },
    }
    for (let added = 0; added < count; added++) {
      const config = {
        id: this.#nodes.length + 1,
        random: { bytes: (length: number) => new Uint8Array(length), below: () => 0 },
        logger: this.#output,
        electionTick,
        heartbeatTick,
        maxSizePerMsg: this.#limit(directive, 'max-size-per-msg', unlimited),
        maxCommittedSizePerReady: this.#limit(directive, 'max-committed-size-per-ready', unlimited),
        maxUncommittedEntriesSize: unlimited,
        maxInflightMsgs: this.#limit(directive, 'inflight', unlimited),
        maxInflightBytes: 0,
        asyncStorageWrites: flagOf(directive, 'async-storage-writes'),
        preVote: flagOf(directive, 'prevote'),
        checkQuorum: flagOf(directive, 'checkquorum'),
        disableConfChangeValidation: flagOf(directive, 'disable-conf-change-validation'),
        stepDownOnRemoval: flagOf(directive, 'step-down-on-removal'),
        readOnlyOption:
          valueOf(directive, 'read-only') === 'lease-based'
            ? ('lease-based' as const)
            : ('safe' as const),
      }
      this.#nodes.push(new InteractionNode(config, isFounded ? first : undefined))
      this.#note('Start', config.id)
    }
    return undefined
  }

  #crash(directive: Directive): undefined {
    const id = this.#firstId(directive)
    const keepCount = this.#limit(directive, 'keep', 0)
    for (let kept = 0; kept < keepCount; kept++) this.#processAppend(id)
    this.#node(id).crash()
    this.#note('Crash', id)
    // What it told itself is gone; what it sent to others may still arrive.
    this.#messages = this.#messages.filter((one) => !(isLocal(one) && one.to === id))
  }

  #partition(directive: Directive): undefined {
    this.#parts.clear()
    const list = directive.args.map(({ key }) => key).join(' ')
    for (const [part, [, ids]] of Array.from(list.matchAll(/\(([^)]*)\)/g)).entries()) {
      for (const id of (ids ?? '').split(/[\s,]+/)) this.#parts.set(Number(id), part)
    }
  }

  #tick(id: NodeId, count: number): undefined {
    for (let ticked = 0; ticked < count; ticked++) this.#node(id).node.tick()
  }

  #proposeConfChange(directive: Directive): string | undefined {
    const changes = parseChanges(directive.input)
    const { node } = this.#first(directive)
    const [only] = changes
    if (flagOf(directive, 'v1')) {
      if (only === undefined || changes.length > 1) {
        throw new ScriptMalformed(`line ${directive.line}: v1 takes exactly one change`)
      }
      return node.proposeConfChange({ version: 1, ...only, context: noBytes })?.message
    }
    const transition = transitions.get(valueOf(directive, 'transition') ?? 'auto')
    return node.proposeConfChange(confChange(changes, transition))?.message
  }

  // Work

  #processReady(id: NodeId): void {
    const member = this.#node(id)
    const isAsync = member.node.raft.config.asyncStorageWrites
    const ready = member.node.ready()
    this.#output.print(describeReady(ready))
    this.#note('Ready', id)
    if (!isAsync) member.carryOut(ready)
    for (const one of ready.messages) {
      if (one.type === 'MsgStorageAppend') member.appendWork.push(one)
      else if (one.type === 'MsgStorageApply') member.applyWork.push(one)
      else this.#queue(one)
    }
    if (!isAsync) member.node.advance()
  }

  #processAppend(id: NodeId): void {
    const member = this.#node(id)
    const work = member.appendWork.shift()
    if (work === undefined) {
      this.#output.print('no append work to perform')
      return
    }
    this.#printWork(work)
    const { term, vote, commit } = work
    const hasHardState = term !== 0 || vote !== 0 || commit !== 0
    member.persist(hasHardState ? { term, vote, commit } : undefined, work.entries, work.snapshot)
    for (const response of work.responses) this.#queue(response)
  }

  #processApply(id: NodeId): void {
    const member = this.#node(id)
    const work = member.applyWork.shift()
    if (work === undefined) {
      this.#output.print('no apply work to perform')
      return
    }
    this.#printWork(work)
    member.apply(work.entries)
    for (const response of work.responses) this.#queue(response)
  }

  #printWork(work: Message): void {
    this.#output.print('Processing:')
    this.#output.print(describeMessage({ ...work, responses: [] }))
    this.#output.print('Responses:')
    for (const response of work.responses) this.#output.print(describeMessage(response))
  }

  #stabilize(directive: Directive): undefined {
    const level = valueOf(directive, 'log-level')
    const before = this.#output.level
    if (level !== undefined) this.#output.setLevel(level)
    const named = words(directive).map((word) => numberFrom(directive, word))
    const ids = named.length > 0 ? named : this.#nodes.map((_, at) => at + 1)
    let rounds = 0
    while (this.#stabilizeOnce(ids.filter((id) => this.#node(id).isUp))) {
      if (++rounds < roundsMax) continue
      this.#output.print(`not done after ${roundsMax} rounds`)
      break
    }
    if (level === undefined) return
    // What was printed at another level is judged at that level.
    const isSilent = level === 'none'
    if (isSilent) this.#output.take(undefined)
    this.#output.setLevel(before)
  }

  /** Answers whether anybody did anything. */
  #stabilizeOnce(ids: readonly NodeId[]): boolean {
    let isBusy = false
    const work = (id: NodeId, what: string, run: () => void): void => {
      isBusy = true
      this.#output.print(`> ${id} ${what}`)
      this.#output.indented(run)
    }
    for (const id of ids) {
      if (this.#node(id).node.hasReady()) work(id, 'handling Ready', () => this.#processReady(id))
    }
    for (const id of ids) {
      if (this.#messages.some(({ to }) => to === id)) {
        work(id, 'receiving messages', () => this.#deliver(id, false))
      }
    }
    for (const id of ids) {
      const { appendWork } = this.#node(id)
      if (appendWork.length === 0) continue
      work(id, 'processing append thread', () => {
        while (appendWork.length > 0) this.#processAppend(id)
      })
    }
    for (const id of ids) {
      const { applyWork } = this.#node(id)
      if (applyWork.length === 0) continue
      work(id, 'processing apply thread', () => {
        while (applyWork.length > 0) this.#processApply(id)
      })
    }
    return isBusy
  }

  // Messages

  #queue(one: Message): void {
    const isCut = this.#parts.get(one.from) !== this.#parts.get(one.to)
    if (!isLocal(one)) this.#note('Send', one.from, one)
    if (isLocal(one) || !isCut) this.#messages.push(one)
  }

  #deliverMessages(directive: Directive): undefined {
    const type = valueOf(directive, 'type')
    let count = 0
    for (const word of words(directive)) {
      count += this.#deliver(numberFrom(directive, word), false, type)
    }
    for (const id of this.#ids(directive, 'drop')) count += this.#deliver(id, true, type)
    if (count === 0) this.#output.print('no messages')
  }

  #repeatMessages(directive: Directive): undefined {
    const id = this.#firstId(directive)
    const meant = this.#messages.filter((one) => one.to === id && !isLocal(one))
    this.#messages.push(...meant)
    for (const one of meant) this.#output.print(describeMessage(one))
  }

  /** Answers how many messages there were. */
  #deliver(id: NodeId, isDropped: boolean, type?: string): number {
    // Messages may be on their way to somebody who has not been started yet.
    const member = this.#nodes[id - 1]
    const isMeant = (one: Message): boolean =>
      one.to === id && !(isDropped && isLocal(one)) && (type === undefined || one.type === type)
    const meant = this.#messages.filter(isMeant)
    this.#messages = this.#messages.filter((one) => !isMeant(one))
    for (const one of meant) {
      if (isDropped || member === undefined || !member.isUp) {
        this.#note('Drop', id, one)
        this.#output.print(`dropped: ${describeMessage(one)}`)
        continue
      }
      this.#output.print(describeMessage(one))
      const error = member.node.step(one)
      if (error !== undefined) this.#output.print(error.message)
      if (!isLocal(one)) this.#note('Receive', id, one)
    }
    return meant.length
  }

  #sendSnapshot(from: NodeId, to: NodeId): undefined {
    const { node, storage } = this.#node(from)
    const snapshot = storage.snapshot()
    const one = message({ type: 'MsgSnap', from, to, term: node.raft.term, snapshot })
    this.#queue(one)
    this.#output.print(describeMessage(one))
  }

  // Looking

  #note(name: TraceEvent['name'], id: NodeId, one?: Message): void {
    const member = this.#nodes[id - 1]
    if (this.#trace !== undefined && member !== undefined) {
      this.#trace(traceEvent(name, member.node, one))
    }
  }

  #printLog({ storage }: InteractionNode): string | undefined {
    const first = storage.firstIndex()
    const last = storage.lastIndex()
    if (last < first) {
      this.#output.print(`log is empty: first index=${first}, last index=${last}`)
      return undefined
    }
    const entries = storage.entries(first, last + 1, unlimited)
    if (!isEntries(entries)) return entries.message
    for (const entry of entries) this.#output.print(describeEntry(entry))
    return undefined
  }

  #printStates(): undefined {
    for (const { node } of this.#nodes) {
      const { id, softState, hardState, config } = node.status()
      const kind = allVoters(config).includes(id) ? 'Voter' : 'Non-Voter'
      this.#output.print(
        `${id}: ${softState.state} (${kind}) Term:${hardState.term} Lead:${softState.lead}`,
      )
    }
  }

  #printStatus({ node }: InteractionNode): undefined {
    const { tracker } = node.raft
    for (const id of node.status().progress.keys()) {
      const progress = tracker.progress(id)
      if (progress !== undefined) this.#output.print(`${id}: ${describeProgress(progress)}`)
    }
  }

  // Arguments

  /** Several members are announced one by one; a single one is not. */
  #each(directive: Directive, what: string, run: (id: NodeId) => void): undefined {
    const ids = words(directive).map((word) => numberFrom(directive, word))
    for (const id of ids) {
      if (ids.length === 1) run(id)
      else {
        this.#output.print(`> ${id} ${what}`)
        this.#output.indented(() => run(id))
      }
    }
  }

  #ids(directive: Directive, key: string): NodeId[] {
    return (valuesOf(directive, key) ?? []).map((value) => numberFrom(directive, value))
  }

  #limit(directive: Directive, key: string, otherwise: number): number {
    const value = valueOf(directive, key)
    return value === undefined ? otherwise : numberFrom(directive, value)
  }

  #firstId(directive: Directive): NodeId {
    return numberFrom(directive, words(directive)[0])
  }

  #secondId(directive: Directive): NodeId {
    return numberFrom(directive, words(directive)[1])
  }

  #first(directive: Directive): InteractionNode {
    return this.#node(this.#firstId(directive))
  }

  #node(id: NodeId): InteractionNode {
    const node = this.#nodes[id - 1]
    if (node === undefined) throw new ScriptMalformed(`there is no node ${id}`)
    return node
  }
}

/** Between a member and its own threads, or to itself: never lost on a network. */
const isLocal = ({ from, to }: Message): boolean =>
  from === to || isLocalTarget(from) || isLocalTarget(to)

function describeReady(ready: Ready): string {
  const lines: string[] = []
  const { softState, hardState, readStates, snapshot } = ready
  if (softState !== undefined) lines.push(`Lead:${softState.lead} State:${softState.state}`)
  if (hardState !== undefined) lines.push(`HardState ${describeHardState(hardState)}`)
  if (readStates.length > 0) {
    const reads = readStates.map(({ index, context }) => `{${index} [${context.join(' ')}]}`)
    lines.push(`ReadStates [${reads.join(' ')}]`)
  }
  if (ready.entries.length > 0) lines.push('Entries:', ...ready.entries.map(describeEntry))
  if (snapshot !== undefined) lines.push(`Snapshot ${describeSnapshot(snapshot)}`)
  if (ready.committedEntries.length > 0) {
    lines.push('CommittedEntries:', ...ready.committedEntries.map(describeEntry))
  }
  if (ready.messages.length > 0) {
    lines.push('Messages:', ...ready.messages.map((one) => describeMessage(one)))
  }
  if (lines.length === 0) return '<empty Ready>'
  return [`Ready MustSync=${ready.mustSync}:`, ...lines].join('\n')
}
