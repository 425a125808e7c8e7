import type { ByteString } from '../byte-string.ts'
import type { Programs } from '../invocation.ts'
import { environmentValue, type Environment, type Process } from '../kernel.ts'
import type { Task } from '../wait-set.ts'
import { ScriptFault } from './script-fault.ts'
import type { List, Node, SimpleCommand } from './syntax.ts'

export interface Variable {
  /** Bytes until somebody looks: see {@link Environment}. Nothing when it is only declared. */
  readonly value: ByteString | Uint8Array | undefined
  readonly isExported: boolean
  readonly isReadonly: boolean
}

export interface ShellOptions {
  allexport: boolean
  errexit: boolean
  nounset: boolean
  xtrace: boolean
  noglob: boolean
  noclobber: boolean
  noexec: boolean
  verbose: boolean
  pipefail: boolean
}

export const optionLetters: Readonly<Record<string, keyof ShellOptions>> = {
  a: 'allexport',
  e: 'errexit',
  u: 'nounset',
  x: 'xtrace',
  f: 'noglob',
  C: 'noclobber',
  n: 'noexec',
  v: 'verbose',
}

export interface Job {
  readonly number: number
  readonly processes: readonly Process[]
  readonly text: ByteString
}

/** How a list is left before its end. */
export type Leave = 'break' | 'continue' | 'return' | 'exit'

const inherited = { isExported: true, isReadonly: false }

const undeclared: Variable = { value: undefined, isExported: false, isReadonly: false }

/** How many of the longest strings a shell may hold in its variables and functions together. */
const heldPerString = 8

/** About what a tree takes up for each byte of the source it was parsed from. */
const treePerSource = 16

/** What even an empty variable takes up. */
const variableSizeBytes = 64

const sizeOf = (variable: Variable | undefined): number =>
  variable === undefined ? 0 : variableSizeBytes + (variable.value?.length ?? 0)

/** One shell's own state: variables, functions, options, traps, jobs. Subshells begin with a copy. */
export class Shell {
  readonly process: Process
  readonly programs: Programs
  variables: Map<ByteString, Variable>
  functions: Map<ByteString, Node>
  aliases: Map<ByteString, SimpleCommand>
  /** Aliases as `alias` prints them, by name. */
  aliasTexts: Map<ByteString, ByteString>
  options: ShellOptions
  /** `$0`, as messages show it. */
  name: ByteString
  parameters: readonly ByteString[] = []
  /** The pid of the shell that no subshell is: `$$`. */
  readonly mainPid: number
  lastStatus = 0
  /** The line of the statement that runs: `$LINENO`. */
  line = 1
  lastBackgroundPid: number | undefined
  jobs: Job[] = []
  /** Exit codes of jobs that were waited for, by pid: who asks again gets the same answer. */
  readonly endedStatuses = new Map<number, number>()
  /** Bodies of traps by signal; 0 is EXIT. */
  traps = new Map<number, ByteString>()
  /** While a trap runs: `$?` from before it, which `exit` without an operand gives. */
  trapStatus: number | undefined
  /** Exit code of the last command substitution, which becomes that of a bare assignment. */
  substitutionStatus = 0
  leave: Leave | undefined
  /** It talks with a person: see `interactive.ts`. */
  isInteractive = false
  /** It would leave because of a fault or `^C`, which an interactive shell outlives. */
  isFaulted = false
  /** How many loops `break` and `continue` still have to leave. */
  leaveLoops = 0
  loopDepth = 0
  callDepth = 0
  functionDepth = 0
  /** What `local` has to bring back, innermost function last. */
  readonly localScopes: Map<ByteString, Variable | undefined>[] = []
  /** Where `getopts` is inside an argument. */
  optionOffset = 0
  readonly isSubshell: boolean
  #environment: Environment | undefined
  /** What variables and functions take up, about. */
  #heldBytes = 0

  constructor(process: Process, programs: Programs, name: ByteString, parent?: Shell) {
    this.process = process
    this.programs = programs
    this.name = name
    this.isSubshell = parent !== undefined
    if (parent === undefined) {
      this.variables = new Map()
      for (const [key, value] of process.environment) {
        this.variables.set(key, { value, ...inherited })
      }
      // What these say is the shell's own to know.
      for (const key of ['IFS', 'LINENO', 'OPTIND', 'PPID']) this.variables.delete(key)
      const pwd = this.variables.get('PWD')
      if (pwd !== undefined) this.variables.set('PWD', { ...pwd, value: process.cwd })
      this.functions = new Map()
      this.aliases = new Map()
      this.aliasTexts = new Map()
      this.options = {
        allexport: false,
        errexit: false,
        nounset: false,
        xtrace: false,
        noglob: false,
        noclobber: false,
        noexec: false,
        verbose: false,
        pipefail: false,
      }
      this.mainPid = process.pid
      return
    }
    this.variables = new Map(parent.variables)
    this.functions = new Map(parent.functions)
    this.#heldBytes = parent.#heldBytes
    this.aliases = new Map(parent.aliases)
    this.aliasTexts = new Map(parent.aliasTexts)
    this.line = parent.line
    this.options = { ...parent.options }
    this.parameters = parent.parameters
    this.mainPid = parent.mainPid
    this.lastStatus = parent.lastStatus
    this.lastBackgroundPid = parent.lastBackgroundPid
    this.loopDepth = parent.loopDepth
    this.callDepth = parent.callDepth
    this.functionDepth = parent.functionDepth
    this.optionOffset = parent.optionOffset
    for (const [number, body] of parent.traps) if (body === '') this.traps.set(number, '')
  }

  /** The value of a variable or of a special or positional parameter, or nothing when it is unset. */
  get(name: ByteString): ByteString | undefined {
    const code = name.charCodeAt(0)
    // Letters and the underscore begin a variable's name; everything else is special.
    if (code >= 0x41 && code !== 0x5e) return this.getVariable(name)
    switch (name) {
      case '?':
        return String(this.lastStatus)
      case '#':
        return String(this.parameters.length)
      case '$':
        return String(this.mainPid)
      case '!':
        return this.lastBackgroundPid === undefined ? undefined : String(this.lastBackgroundPid)
      case '-':
        return this.optionText()
      case '0':
        return this.name
      case '*':
      case '@':
        return this.parameters.length === 0 ? undefined : this.parameters.join(this.separator('*'))
      default:
        return this.parameters[Number(name) - 1]
    }
  }

  getVariable(name: ByteString): ByteString | undefined {
    const variable = this.variables.get(name)
    if (variable === undefined) return this.#computed(name)
    const { value } = variable
    if (value === undefined || typeof value === 'string') return value
    const text = environmentValue(value)
    this.variables.set(name, { ...variable, value: text })
    return text
  }

  #computed(name: ByteString): ByteString | undefined {
    if (name === 'IFS') return ' \t\n'
    if (name === 'PPID') return String(this.process.parent?.pid ?? 0)
    if (name === 'PWD') return this.process.cwd
    if (name === 'LINENO') return String(this.line)
    if (name === 'OPTIND') return '1'
    if (name === 'PS4') return '+ '
    if (name === 'RANDOM') return String(this.process.kernel.surroundings.random.below(32_768))
    return undefined
  }

  /** @throws ScriptFault when it is read-only, the value is too long, or the shell holds too much */
  setVariable(name: ByteString, value: ByteString): void {
    if (value.length > this.process.kernel.surroundings.limits.stringBytes) {
      throw new ScriptFault(`${name}: value too long`)
    }
    const before = this.variables.get(name)
    if (before?.isReadonly === true) throw new ScriptFault(`${name}: is read only`)
    const isExported = before?.isExported === true || this.options.allexport
    this.#hold(value.length - sizeOf(before))
    this.#put(name, { value, isExported, isReadonly: false }, before)
    if (name === 'OPTIND') this.optionOffset = 0
  }

  declare(name: ByteString, mark: { isExported?: boolean; isReadonly?: boolean }): void {
    const before = this.variables.get(name)
    this.#put(name, { ...(before ?? undeclared), ...mark }, before)
    this.#environment = undefined
  }

  unset(name: ByteString): void {
    const before = this.variables.get(name)
    if (before === undefined) return
    if (before.isReadonly) throw new ScriptFault(`${name}: is read only`)
    this.#put(name, undefined, before)
  }

  /** Puts back exactly what was there before. */
  restore(name: ByteString, variable: Variable | undefined): void {
    this.#put(name, variable, this.variables.get(name))
    this.#environment = undefined
  }

  /** @throws ScriptFault when the shell holds too much */
  defineFunction(name: ByteString, body: Node, sizeBytes: number): void {
    const bytes = sizeBytes * treePerSource
    this.#hold(bytes)
    this.#heldBytes += bytes
    this.functions.set(name, body)
  }

  #put(name: ByteString, variable: Variable | undefined, before: Variable | undefined): void {
    this.#heldBytes += sizeOf(variable) - sizeOf(before)
    if (variable?.isExported === true || before?.isExported === true) this.#environment = undefined
    if (variable === undefined) this.variables.delete(name)
    else this.variables.set(name, variable)
  }

  /** Checks that there is room for so many bytes more. */
  #hold(bytes: number): void {
    const { stringBytes } = this.process.kernel.surroundings.limits
    if (this.#heldBytes + bytes > stringBytes * heldPerString) throw new ScriptFault('Out of space')
  }

  /** The exported variables, for a child. Shared until one of them changes, so never written to. */
  environment(): Environment {
    if (this.#environment === undefined) {
      this.#environment = new Map()
      for (const [name, { value, isExported }] of this.variables) {
        if (isExported && value !== undefined) this.#environment.set(name, value)
      }
    }
    return this.#environment
  }

  /** The bytes that separate fields. */
  get ifs(): ByteString {
    return this.getVariable('IFS') ?? ' \t\n'
  }

  /** What `"$*"` puts between parameters. */
  separator(name: '*' | '@'): ByteString {
    return name === '@' ? ' ' : this.ifs.slice(0, 1)
  }

  optionText(): ByteString {
    let text = ''
    for (const [letter, name] of Object.entries(optionLetters)) {
      if (this.options[name]) text += letter
    }
    return text
  }

  /** Asks for the list that runs to be left. */
  leaveWith(leave: Leave, status: number): number {
    this.leave = leave
    this.lastStatus = status
    return status
  }
}

/** What expansion needs of execution: running a command substitution. */
export interface Substituter {
  substitute(shell: Shell, list: List): Task<ByteString>
}
