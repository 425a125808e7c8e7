import { utf8 } from '@conclave/kernel'
import { TxnInvalid } from './errors.ts'

export type CompareOperator = '=' | '!=' | '<' | '>'

/**
 * A claim about one key. Numbers of a key that does not exist are 0; a claim about the value of a
 * key that does not exist never holds, whatever the operator.
 */
export type Compare =
  | {
      readonly key: string
      readonly target: 'version' | 'createRevision' | 'modRevision'
      readonly is: CompareOperator
      readonly operand: number
    }
  | {
      readonly key: string
      readonly target: 'value'
      readonly is: CompareOperator
      readonly operand: Uint8Array
    }

/** One change. Ids of leases are chosen by the proposer. */
export type Op =
  | {
      readonly do: 'put'
      readonly key: string
      readonly value: Uint8Array
      readonly lease?: number
    }
  | { readonly do: 'delete'; readonly key: string }
  | { readonly do: 'delete-prefix'; readonly prefix: string }
  | { readonly do: 'lease-grant'; readonly lease: number; readonly ttlMs: number }
  | { readonly do: 'lease-keepalive'; readonly lease: number }
  | { readonly do: 'lease-revoke'; readonly lease: number }
  /** Revokes the lease if its time was over at the command's `nowMs`, and is nothing otherwise. */
  | { readonly do: 'lease-expire'; readonly lease: number }
  /** Every lease lives for one more TTL at least: a new leader's first act. */
  | { readonly do: 'lease-extend-all' }
  /** Forgets what was overwritten or deleted at or before this revision, and the batches up to it. */
  | { readonly do: 'compact'; readonly revision: number }

/** If every claim holds, `success` happens, otherwise `failure`: whole, and as one revision. */
export interface Txn {
  readonly compare: readonly Compare[]
  readonly success: readonly Op[]
  readonly failure?: readonly Op[]
}

/** A client's number for a command: whoever repeats it gets the first answer, and changes nothing. */
export interface SessionRef {
  readonly client: string
  readonly seq: number
}

/** What an entry of the log carries. */
export interface Command extends Txn {
  readonly session?: SessionRef
  /** The proposer's clock, in ms since 1970. The only time that applying knows. */
  readonly nowMs: number
}

/** All replicas of a cluster must have the same limits: they decide what is refused. */
export interface StoreLimits {
  /** 4 KiB rather than 1: a grant's key holds three Mesos ids and a path of up to 1024 bytes. */
  readonly keySizeBytesMax: number
  /** A secret of 1 MiB, its envelope's overhead and some room. */
  readonly valueSizeBytesMax: number
  /** Claims, and changes of either branch. 512 rather than 128: one launch may carry many grants. */
  readonly txnOpsMax: number
  readonly txnSizeBytesMax: number
  /** How many clients are remembered. The one that was silent longest is forgotten first. */
  readonly sessionsMax: number
}

export const defaultStoreLimits: StoreLimits = {
  keySizeBytesMax: 4096,
  valueSizeBytesMax: 1024 * 1024 + 4096,
  txnOpsMax: 512,
  txnSizeBytesMax: 4 * 1024 * 1024,
  sessionsMax: 8192,
}

/** Times and spans stay below this, so that their sums are safe integers: year 4200 or so. */
const timeMsMax = 2 ** 46

/** @throws TxnInvalid when every replica would refuse it, under this session if there is one */
export function checkTxn(
  txn: Txn,
  limits: StoreLimits = defaultStoreLimits,
  session?: SessionRef,
): void {
  const fault = (session && sessionFault(session)) ?? txnFault(txn, limits)
  if (fault !== undefined) throw new TxnInvalid(fault)
}

/** What is wrong with `command` in itself, whatever the store holds. */
export function commandFault(command: Command, limits: StoreLimits): string | undefined {
  const { session, nowMs } = command
  if (nowMs >= timeMsMax) return 'the time of a command is in milliseconds since 1970'
  return (session && sessionFault(session)) ?? txnFault(command, limits)
}

function sessionFault({ client, seq }: SessionRef): string | undefined {
  const fault = nameFault(client, 'a client', clientSizeBytesMax)
  if (fault !== undefined) return fault
  return Number.isSafeInteger(seq) && seq >= 0 ? undefined : 'a client counts from 0 on'
}

const noOps: readonly Op[] = []

/** What is wrong with `txn` in itself, whatever the store holds. */
function txnFault(txn: Txn, limits: StoreLimits): string | undefined {
  const { compare, success, failure = noOps } = txn
  const lengthMax = limits.txnOpsMax
  if (compare.length > lengthMax || success.length > lengthMax || failure.length > lengthMax) {
    return `a transaction has at most ${lengthMax} claims, and as many changes in either branch`
  }
  let sizeBytes = 0
  for (const { key, operand } of compare) {
    const fault = keyFault(key, limits)
    if (fault !== undefined) return fault
    sizeBytes += key.length + (typeof operand === 'number' ? 8 : operand.length)
  }
  const fault = opsFault(success, limits) ?? opsFault(failure, limits)
  if (fault !== undefined) return fault
  sizeBytes += putSizeBytes(success) + putSizeBytes(failure)
  if (sizeBytes > limits.txnSizeBytesMax) {
    return `a transaction has at most ${limits.txnSizeBytesMax} bytes`
  }
  return undefined
}

function opsFault(branch: readonly Op[], limits: StoreLimits): string | undefined {
  for (const op of branch) {
    const fault = opFault(op, limits)
    if (fault !== undefined) return fault
  }
  return branch.length > 1 ? branchFault(branch) : undefined
}

function putSizeBytes(branch: readonly Op[]): number {
  let sizeBytes = 0
  for (const op of branch) if (op.do === 'put') sizeBytes += op.key.length + op.value.length
  return sizeBytes
}

const keyFault = (key: string, { keySizeBytesMax }: StoreLimits): string | undefined =>
  nameFault(key, 'a key', keySizeBytesMax)

const clientSizeBytesMax = 256
const byteOrderMark = 0xfeff

function nameFault(name: string, what: string, sizeBytesMax: number): string | undefined {
  if (name === '') return `${what} is not empty`
  if (!name.isWellFormed()) return `${what} is valid Unicode`
  // Decoders may take it for a mark of the encoding and drop it: another key on each replica.
  if (name.charCodeAt(0) === byteOrderMark) return `${what} does not begin with a byte order mark`
  // A UTF-16 unit takes three bytes at most, so short names need no counting.
  if (name.length * 3 > sizeBytesMax && utf8(name).length > sizeBytesMax) {
    return `${what} has at most ${sizeBytesMax} bytes`
  }
  return undefined
}

function opFault(op: Op, limits: StoreLimits): string | undefined {
  switch (op.do) {
    case 'put':
      if (op.value.length > limits.valueSizeBytesMax) {
        return `a value has at most ${limits.valueSizeBytesMax} bytes`
      }
      return keyFault(op.key, limits)
    case 'delete':
      return keyFault(op.key, limits)
    case 'delete-prefix':
      return keyFault(op.prefix, limits)
    case 'lease-grant':
      return op.lease < 1 || op.ttlMs < 1 || op.ttlMs >= timeMsMax
        ? 'a lease has an id, and a TTL of at least one millisecond'
        : undefined
    default:
      return undefined
  }
}

/**
 * A revision gives a key one version, so no branch touches a key twice; and what deletes by lease
 * is kept apart from what names its keys, since only the store knows which keys a lease has.
 */
function branchFault(branch: readonly Op[]): string | undefined {
  if (branch.length <= fewMax && branch.every(isOfOneKey)) {
    return isKeyTwice(branch) ? 'a transaction changes a key once' : undefined
  }
  const keys = new Set<string>()
  const prefixes: string[] = []
  const leases = new Set<number>()
  let lettingGo = 0
  for (const op of branch) {
    switch (op.do) {
      case 'put':
      case 'delete':
        if (keys.has(op.key)) return 'a transaction changes a key once'
        keys.add(op.key)
        break
      case 'delete-prefix':
        prefixes.push(op.prefix)
        break
      case 'compact':
      case 'lease-extend-all':
        lettingGo++
        break
      case 'lease-revoke':
      case 'lease-expire':
        lettingGo++
        if (leases.has(op.lease)) return 'a transaction changes a lease once'
        leases.add(op.lease)
        break
      case 'lease-grant':
      case 'lease-keepalive':
        if (leases.has(op.lease)) return 'a transaction changes a lease once'
        leases.add(op.lease)
    }
  }
  if (lettingGo > 0 && lettingGo < branch.length) {
    return 'a transaction that lets go of leases or revisions does nothing else'
  }
  for (const [index, prefix] of prefixes.entries()) {
    for (const key of keys) if (key.startsWith(prefix)) return 'a transaction changes a key once'
    const isTwice = prefixes.some((other, at) => at !== index && other.startsWith(prefix))
    if (isTwice) return 'a transaction changes a key once'
  }
  return undefined
}

/** So few are compared each with each: most transactions have two, and a set costs more than all of that. */
const fewMax = 4

type OpOfOneKey = Extract<Op, { readonly do: 'put' | 'delete' }>

const isOfOneKey = (op: Op): op is OpOfOneKey => op.do === 'put' || op.do === 'delete'

function isKeyTwice(branch: readonly OpOfOneKey[]): boolean {
  for (let at = 1; at < branch.length; at++) {
    for (let before = 0; before < at; before++) {
      if (branch[at]?.key === branch[before]?.key) return true
    }
  }
  return false
}
