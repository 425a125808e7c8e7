/* oxlint-disable typescript/consistent-return -- the compiler proves that the switches are exhaustive */
import { byteString, bytesOf, type ByteString } from '../byte-string.ts'
import { NullDescription, TextDescription, type Description } from '../description.ts'
import { FileSystemError } from '../file-system.ts'
import { Files } from '../files.ts'
import { complaint, Invocation, runProgram, type Program } from '../invocation.ts'
import { readSome, writeAll, writeComplaint } from '../io.ts'
import { ForkRefused, type Process } from '../kernel.ts'
import { createPipe } from '../pipe.ts'
import { compileRegex } from '../regex/posix.ts'
import { Glob } from '../regex/glob.ts'
import { exitCodeOfSignal, signal } from '../signals.ts'
import type { Task } from '../wait-set.ts'
import type { Builtin } from './builtin.ts'
import { builtins, shellPrograms, specialBuiltins } from './builtins.ts'
import { compareTest, fileTest } from '../commands/test.ts'
import { Expander } from './expand.ts'
import { parseScript, type Parsed } from './parse.ts'
import { quoted } from './quote.ts'
import { ScriptFault } from './script-fault.ts'
import { Shell, type Substituter, type Variable } from './shell.ts'
import type {
  Assignment,
  List,
  Node,
  PipelineMember,
  Redirect,
  SimpleCommand,
  Statement,
  TestExpression,
} from './syntax.ts'

/** What a redirection covered up. */
export interface Saved {
  readonly number: number
  readonly description: Description | undefined
}

const endedJobsMax = 64

/** How many commands a straight script runs in one tick. */
const commandsPerTick = 8

/**
 * Runs parsed scripts in one process. Every method that may wait is a generator; `isTested` says that
 * a failure is being looked at (by `if`, `&&`, `!`), so that `set -e` leaves it alone, and `isTail`
 * that nothing follows, so that a program may take the place of its shell, as `sh -c` does it.
 */
export class Interpreter implements Substituter {
  readonly shell: Shell
  readonly expander: Expander
  /**
   * Whether somebody looks at the failure of the command that is about to run. Functions and builtins
   * that run commands read it before anything else happens, and pass it on.
   */
  isTested = false

  constructor(shell: Shell) {
    this.shell = shell
    this.expander = new Expander(shell, this)
  }

  get process(): Process {
    return this.shell.process
  }

  /** Runs the body of a subshell up to the EXIT trap, and answers with its exit code. */
  *main(list: List, isTested = false): Task<number> {
    yield* this.guarded(list, true, isTested)
    return yield* this.finish()
  }

  /** Runs a program, or what a shell has read of one; a fault in its text ends the shell. */
  *program({ list, fault, faultLine }: Parsed, isTail: boolean): Task<void> {
    const { shell } = this
    yield* this.guarded(list, isTail && fault === undefined)
    if (fault === undefined || shell.leave !== undefined) return
    shell.line = faultLine
    yield* this.fail(fault)
  }

  /** Runs a list; what a shell does not forgive ends this shell with a message. */
  *guarded(list: List, isTail: boolean, isTested = false): Task<void> {
    try {
      this.shell.lastStatus = yield* this.list(list, isTested, isTail)
    } catch (fault) {
      yield* this.fail(fault)
    }
  }

  /** Ends this shell over a fault. Rethrows what is none of a script's faults but one of ours. */
  *fail(fault: unknown): Task<void> {
    // A process that does not ignore SIGPIPE ends in this pause, and says nothing.
    if (this.process.killedBy !== 0) yield
    yield* this.complain(complaint(fault))
    this.shell.isFaulted = true
    this.shell.leaveWith('exit', fault instanceof ScriptFault ? fault.status : 2)
  }

  /** The end of a shell: its EXIT trap, and its exit code. */
  *finish(): Task<number> {
    const { shell } = this
    const body = shell.traps.get(0)
    if (body !== undefined && body !== '') {
      shell.traps.delete(0)
      const status = shell.lastStatus
      shell.leave = undefined
      shell.trapStatus = status
      try {
        yield* this.list(parseScript(body), false)
      } catch (fault) {
        yield* this.fail(fault)
      }
      // `exit N` in the trap has the last word.
      if (shell.leave !== 'exit') shell.lastStatus = status
    }
    return shell.lastStatus
  }

  *complain(message: ByteString): Task<void> {
    const { name, line } = this.shell
    yield* writeComplaint(this.process, `${name}: ${line}: ${message}\n`)
  }

  /** Complains, and answers with the status of the failure. */
  *refuse(message: ByteString, status: number): Task<number> {
    yield* this.complain(message)
    return status
  }

  /** What a name is to the shell before any program is looked for. */
  kindOf(name: ByteString): 'function' | 'special builtin' | 'builtin' | undefined {
    if (specialBuiltins.has(name)) return 'special builtin'
    if (this.shell.functions.has(name)) return 'function'
    return builtins.has(name) || shellPrograms.has(name) ? 'builtin' : undefined
  }

  *list(list: List, isTested: boolean, isTail = false): Task<number> {
    const { shell, process } = this
    let status = 0
    if (shell.options.noexec) return status
    for (const [index, statement] of list.entries()) {
      if (++process.work % commandsPerTick === 0) yield
      shell.line = statement.line
      if (statement.isBackground) status = this.#background(statement)
      else {
        const isLast = isTail && index === list.length - 1
        status = yield* this.node(statement.node, isTested, isLast)
      }
      shell.lastStatus = status
      if (process.pending.length > 0) yield* this.runTraps()
      if (shell.leave !== undefined) return shell.lastStatus
    }
    return status
  }

  *node(node: Node, isTested: boolean, isTail = false): Task<number> {
    switch (node.type) {
      case 'simple':
        return yield* this.#checked(this.#simple(node, isTested, isTail), isTested)
      case 'pipeline':
        return yield* this.#pipeline(node, isTested, isTail)
      case 'and-or': {
        let status = yield* this.node(node.first, true)
        const last = node.rest.length - 1
        for (const [index, { operator, node: member }] of node.rest.entries()) {
          this.shell.lastStatus = status
          if (this.process.pending.length > 0) yield* this.runTraps()
          if (this.shell.leave !== undefined) return this.shell.lastStatus
          if ((status === 0) !== (operator === '&&')) continue
          const isLast = index === last
          status = yield* this.node(member, isTested || !isLast, isTail && isLast)
        }
        return status
      }
      case 'if': {
        for (const { test, body } of node.branches) {
          const status = yield* this.list(test, true)
          if (this.shell.leave !== undefined) return this.shell.lastStatus
          if (status === 0) return yield* this.list(body, isTested, isTail)
        }
        return node.otherwise === undefined ? 0 : yield* this.list(node.otherwise, isTested, isTail)
      }
      case 'for':
        return yield* this.#for(node, isTested)
      case 'arithmetic-for':
        return yield* this.#arithmeticFor(node, isTested)
      case 'while':
        return yield* this.#while(node, isTested)
      case 'case':
        return yield* this.#case(node, isTested, isTail)
      case 'subshell': {
        if (isTail && this.#mayBeReplaced) {
          yield* this.guarded(node.body, true, isTested)
          return this.shell.lastStatus
        }
        const child = this.#fork((inner) => inner.main(node.body, isTested))
        return yield* this.#checked(this.waitFor(child), isTested)
      }
      case 'group':
        return yield* this.list(node.body, isTested, isTail)
      case 'function':
        this.shell.defineFunction(node.name, node.body, node.sizeBytes)
        return 0
      case 'test':
        return yield* this.#checked(this.#testCommand(node.expression), isTested)
      case 'arithmetic':
        return yield* this.#checked(this.#arithmeticCommand(node.expression), isTested)
      case 'redirected':
        return yield* this.#redirected(node.command, node.redirects, isTested)
    }
  }

  /** Waits for a child, whatever signals come meanwhile: POSIX runs traps behind the command. */
  *waitFor(child: Process): Task<number> {
    while (child.status === undefined) yield child.ended
    return child.status.exitCode
  }

  /** Runs the traps of signals that came, in order, with `$?` put back behind each. */
  *runTraps(): Task<void> {
    const { shell, process } = this
    for (let number = process.pending.shift(); number !== undefined;) {
      const body = shell.traps.get(number)
      if (body !== undefined && body !== '') {
        const { lastStatus, trapStatus, leave, leaveLoops } = shell
        shell.leave = undefined
        shell.trapStatus = lastStatus
        yield* this.list(parseScript(body), false)
        shell.trapStatus = trapStatus
        if (shell.leave === undefined) {
          shell.lastStatus = lastStatus
          shell.leave = leave
          shell.leaveLoops = leaveLoops
        } else if (shell.leave === 'exit') {
          process.pending.length = 0
          return
        }
      }
      if (body === undefined && number === signal.int && shell.isInteractive) {
        yield* writeComplaint(process, '\n')
        shell.isFaulted = true
        shell.leaveWith('exit', exitCodeOfSignal(number))
        process.pending.length = 0
        return
      }
      number = process.pending.shift()
    }
  }

  /** Runs a command in a subshell and answers its output without the newlines at its end. */
  *substitute(_shell: Shell, list: List): Task<ByteString> {
    const { process, shell } = this
    const { reader, writer } = createPipe()
    reader.retain()
    const child = this.#fork((inner) => inner.substituted(list), [[1, writer]])
    let text = ''
    try {
      const { stringBytes } = process.kernel.surroundings.limits
      for (;;) {
        const result = reader.read(65_536)
        if (!(result instanceof Uint8Array)) {
          yield result
          continue
        }
        if (result.length === 0) break
        text += byteString(result)
        if (text.length > stringBytes) {
          process.kernel.signal(child, signal.kill)
          throw new ScriptFault('command substitution: output too long')
        }
        yield
      }
    } finally {
      reader.release()
    }
    shell.substitutionStatus = yield* this.waitFor(child)
    if (text.includes('\0')) text = text.replaceAll('\0', '')
    let end = text.length
    while (end > 0 && text.charCodeAt(end - 1) === 10) end--
    return text.slice(0, end)
  }

  /** The inside of `$(...)`. `$(<file)` is the file. */
  *substituted(list: List): Task<number> {
    const [only] = list
    if (list.length === 1 && only?.node.type === 'simple' && only.node.words.length === 0) {
      const { redirects, assignments } = only.node
      const [redirect] = redirects
      const isRead = redirect?.type === 'file' && redirect.operator === '<'
      if (isRead && redirects.length === 1 && assignments.length === 0) {
        return yield* this.#copyFile(only.node.redirects)
      }
    }
    return yield* this.main(list)
  }

  *#copyFile(redirects: readonly Redirect[]): Task<number> {
    const saved = yield* this.redirect(redirects)
    if (saved === undefined) return 2
    for (;;) {
      const bytes = yield* readSome(this.process, 0)
      if (bytes.length === 0) return 0
      yield* writeAll(this.process, 1, bytes)
      yield
    }
  }

  /** Applies redirections to the process. Nothing when one failed, said why, and all are undone. */
  *redirect(redirects: readonly Redirect[]): Task<Saved[] | undefined> {
    const saved: Saved[] = []
    try {
      for (const redirect of redirects) yield* this.#redirectOne(redirect, saved)
      return saved
    } catch (refusal) {
      this.restore(saved)
      if (!(refusal instanceof FileSystemError)) throw refusal
      yield* this.complain(refusal.message)
      return undefined
    }
  }

  restore(saved: readonly Saved[]): void {
    for (const { number, description } of saved.toReversed()) {
      this.process.setDescription(number, description)
      description?.release()
    }
  }

  forget(saved: readonly Saved[]): void {
    for (const { description } of saved) description?.release()
  }

  *#redirectOne(redirect: Redirect, saved: Saved[]): Task<void> {
    const { process, shell } = this
    const { descriptor } = redirect
    const { openFiles, stringBytes } = process.kernel.surroundings.limits
    const put = (number: number, description: Description | undefined): void => {
      if (number >= openFiles) throw new FileSystemError('EBADF', String(number))
      saved.push({ number, description: process.descriptions[number]?.retain() })
      process.setDescription(number, description)
    }
    if (redirect.type === 'here') {
      const text = yield* this.expander.text(redirect.body)
      if (text.length > stringBytes) throw new ScriptFault('here-document too long')
      put(descriptor, new TextDescription('/tmp/here-document', bytesOf(text)))
      return
    }
    const target = yield* this.expander.text(redirect.target)
    if (redirect.type === 'duplicate') {
      if (target === '-') {
        put(descriptor, undefined)
        return
      }
      if (!/^\d{1,4}$/.test(target)) throw new ScriptFault(`Bad fd number: ${target}`)
      const description = process.descriptions[Number(target)]
      if (description === undefined) throw new FileSystemError('EBADF', target)
      put(descriptor, description)
      return
    }
    const { operator } = redirect
    const files = new Files(process, shell.programs)
    const open = (): Description => {
      switch (operator) {
        case '<':
          if (files.stat(target).kind === 'directory') return new NullDescription()
          return files.open(target)
        case '<>':
          return files.open(target, { write: true, readable: true, create: true })
        case '>>':
        case '&>>':
          return files.open(target, { write: true, create: true, append: true })
        default: {
          const isGuarded = operator === '>' && shell.options.noclobber
          const isFile = isGuarded && files.statIfThere(target)?.kind === 'file'
          if (isFile && !target.startsWith('/dev/')) throw new FileSystemError('EEXIST', target)
          return files.open(target, { write: true, create: true, truncate: true })
        }
      }
    }
    let description: Description
    try {
      description = open()
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      throw new FileSystemError(refusal.posix, target)
    }
    put(descriptor, description)
    if (operator.startsWith('&')) put(2, description)
  }

  /** Runs a program, function or builtin by its name, as `command` and `exec` need it too. */
  *runNamed(fields: readonly ByteString[], skipsFunctions = false): Task<number> {
    const [name = ''] = fields
    const body = skipsFunctions ? undefined : this.shell.functions.get(name)
    if (body !== undefined) return yield* this.#call(name, body, fields.slice(1))
    const builtin = specialBuiltins.get(name) ?? builtins.get(name)
    if (builtin !== undefined) return yield* this.#builtin(builtin, fields)
    const program = shellPrograms.get(name)
    if (program !== undefined) return yield* this.#program(program, fields)
    return yield* this.#external(fields, false)
  }

  /** Lets a program take the place of this shell. Its traps are gone with it. */
  *replace(fields: readonly ByteString[]): Task<number> {
    const { shell, process } = this
    const environment = shell.environment()
    const found = shell.programs.resolve(process, fields, shell.getVariable('PATH'))
    if (!found.isFound) {
      yield* this.complain(`${fields[0] ?? ''}: ${found.why}`)
      return found.status
    }
    process.argv = fields
    process.environment = environment
    process.caught = undefined
    process.pending.length = 0
    shell.traps.clear()
    return yield* found.run(process)
  }

  /** Whether a program may be run in place of this shell without anybody missing it. */
  get #mayBeReplaced(): boolean {
    return this.shell.traps.size === 0 && this.shell.jobs.length === 0
  }

  /** `set -e`: a command that failed, and whose failure nobody looks at, ends the shell. */
  *#checked(run: Task<number>, isTested: boolean): Task<number> {
    const status = yield* run
    const { shell } = this
    if (status !== 0 && !isTested && shell.options.errexit && shell.leave === undefined) {
      shell.leaveWith('exit', status)
    }
    return status
  }

  *#simple(given: SimpleCommand, isTested: boolean, isTail: boolean): Task<number> {
    const { shell } = this
    const command = shell.aliases.size === 0 ? given : withAliases(given, shell.aliases)
    shell.substitutionStatus = 0
    const fields = yield* this.expander.fields(command.words)
    const [name] = fields
    if (name === undefined) return yield* this.#bare(command)
    const { assignments, redirects } = command
    if (redirects.length === 0 && assignments.length === 0) {
      if (shell.options.xtrace) yield* this.#trace([], fields)
      this.isTested = isTested
      return yield* this.#dispatch(fields, isTail)
    }
    const special = specialBuiltins.get(name)
    const saved = yield* this.redirect(redirects)
    if (saved === undefined) {
      if (special !== undefined && name !== 'exec') shell.leaveWith('exit', 2)
      return 2
    }
    let covered: Map<ByteString, Variable | undefined> | undefined
    let keepsDescriptors = false
    try {
      const isLasting = special !== undefined && !shell.functions.has(name)
      covered = yield* this.#assign(assignments, !isLasting, fields)
      if (isLasting) covered = undefined
      keepsDescriptors = name === 'exec' && fields.length === 1
      const mayReplace = isTail && covered === undefined
      this.isTested = isTested
      return yield* this.#dispatch(fields, mayReplace)
    } finally {
      for (const [key, variable] of covered ?? []) shell.restore(key, variable)
      if (keepsDescriptors) this.forget(saved)
      else this.restore(saved)
    }
  }

  /** Assignments and redirections without a command. */
  *#bare({ assignments, redirects }: SimpleCommand): Task<number> {
    const { shell } = this
    if (redirects.length > 0) {
      const saved = yield* this.redirect(redirects)
      if (saved === undefined) return 2
      this.restore(saved)
    }
    for (const assignment of assignments) {
      const value = yield* this.expander.text(assignment.value)
      if (shell.options.xtrace) yield* this.#trace([`${assignment.name}=${value}`], [])
      this.#set(assignment, value)
    }
    return shell.substitutionStatus
  }

  /** Assignments in front of a command. Answers what they covered up. */
  *#assign(
    assignments: readonly Assignment[],
    isExported: boolean,
    fields: readonly ByteString[],
  ): Task<Map<ByteString, Variable | undefined> | undefined> {
    const { shell } = this
    const covered = new Map<ByteString, Variable | undefined>()
    const shown: ByteString[] = []
    for (const assignment of assignments) {
      const { name } = assignment
      const value = yield* this.expander.text(assignment.value)
      if (!covered.has(name)) covered.set(name, shell.variables.get(name))
      this.#set(assignment, value)
      if (isExported) shell.declare(name, { isExported: true })
      shown.push(`${name}=${value}`)
    }
    if (shell.options.xtrace) yield* this.#trace(shown, fields)
    return covered.size === 0 ? undefined : covered
  }

  #set({ name, isAppend }: Assignment, value: ByteString): void {
    const before = isAppend ? (this.shell.getVariable(name) ?? '') : ''
    this.shell.setVariable(name, before + value)
  }

  *#dispatch(fields: readonly ByteString[], isTail: boolean): Task<number> {
    const [name = ''] = fields
    const { shell } = this
    const special = specialBuiltins.get(name)
    if (special !== undefined) return yield* this.#builtin(special, fields, true)
    const body = shell.functions.get(name)
    if (body !== undefined) return yield* this.#call(name, body, fields.slice(1))
    const builtin = builtins.get(name)
    if (builtin !== undefined) return yield* this.#builtin(builtin, fields)
    const program = shellPrograms.get(name)
    if (program !== undefined) return yield* this.#program(program, fields)
    return yield* this.#external(fields, isTail)
  }

  /** Runs what changes the shell itself. Only a fault of a special builtin ends a shell (POSIX 2.8.1). */
  *#builtin(builtin: Builtin, fields: readonly ByteString[], isSpecial = false): Task<number> {
    try {
      const result = builtin(this, fields)
      return typeof result === 'number' ? result : yield* result
    } catch (refusal) {
      // A process that does not ignore SIGPIPE ends in this pause, and says nothing.
      if (this.process.killedBy !== 0) yield
      if (refusal instanceof ScriptFault) {
        if (isSpecial) throw refusal
      } else if (!(refusal instanceof FileSystemError)) throw refusal
      yield* this.complain(`${fields[0] ?? ''}: ${refusal.message}`)
      return refusal instanceof ScriptFault ? refusal.status : 1
    }
  }

  /** A program that shells have inside: it runs in the shell's own process. */
  *#program(program: Program, fields: readonly ByteString[]): Task<number> {
    return yield* runProgram(program, new Invocation(this.process, fields, this.shell.programs))
  }

  *#external(fields: readonly ByteString[], isTail: boolean): Task<number> {
    const { shell, process } = this
    if (isTail && this.#mayBeReplaced) return yield* this.replace(fields)
    const found = shell.programs.resolve(process, fields, shell.getVariable('PATH'))
    if (!found.isFound) {
      yield* this.complain(`${fields[0] ?? ''}: ${found.why}`)
      return found.status
    }
    const environment = shell.environment()
    const child = process.spawn({ argv: fields, environment }, found.run)
    return yield* this.waitFor(child)
  }

  *#call(name: ByteString, body: Node, args: readonly ByteString[]): Task<number> {
    const { shell, isTested } = this
    this.enter(name)
    const { parameters, loopDepth } = shell
    shell.parameters = args
    shell.loopDepth = 0
    shell.functionDepth++
    shell.localScopes.push(new Map())
    try {
      yield
      const status = yield* this.node(body, isTested)
      if (shell.leave === 'return') {
        shell.leave = undefined
        return shell.lastStatus
      }
      return status
    } finally {
      for (const [key, variable] of shell.localScopes.pop() ?? []) shell.restore(key, variable)
      shell.parameters = parameters
      shell.loopDepth = loopDepth
      shell.functionDepth--
      shell.callDepth--
    }
  }

  /** Counts one more level of functions, `eval` and sourced files. @throws ScriptFault when too deep */
  enter(name: ByteString): void {
    const { shell } = this
    if (shell.callDepth >= this.process.kernel.surroundings.limits.recursion) {
      throw new ScriptFault(`${name}: maximum recursion depth exceeded`)
    }
    shell.callDepth++
  }

  *#redirected(node: Node, redirects: readonly Redirect[], isTested: boolean): Task<number> {
    const saved = yield* this.redirect(redirects)
    if (saved === undefined) return yield* this.#checked(failed(), isTested)
    try {
      return yield* this.node(node, isTested)
    } finally {
      this.restore(saved)
    }
  }

  *#for(node: Extract<Node, { type: 'for' }>, isTested: boolean): Task<number> {
    const { shell } = this
    const values =
      node.words === undefined ? shell.parameters : yield* this.expander.fields(node.words)
    let status = 0
    shell.loopDepth++
    for (const value of values) {
      yield
      shell.setVariable(node.name, value)
      status = yield* this.list(node.body, isTested)
      if (shell.leave !== undefined && this.#leavesLoop()) break
    }
    shell.loopDepth--
    return status
  }

  *#arithmeticFor(
    node: Extract<Node, { type: 'arithmetic-for' }>,
    isTested: boolean,
  ): Task<number> {
    const { shell } = this
    let status = 0
    if (node.start !== undefined) yield* this.expander.arithmetic(node.start)
    shell.loopDepth++
    for (;;) {
      yield
      if (node.test !== undefined && (yield* this.expander.arithmetic(node.test)) === 0) break
      status = yield* this.list(node.body, isTested)
      if (shell.leave !== undefined && this.#leavesLoop()) break
      if (node.update !== undefined) yield* this.expander.arithmetic(node.update)
    }
    shell.loopDepth--
    return status
  }

  *#while(node: Extract<Node, { type: 'while' }>, isTested: boolean): Task<number> {
    const { shell } = this
    const { test, body, isUntil } = node
    let status = 0
    shell.loopDepth++
    for (;;) {
      yield
      const tested = yield* this.list(test, true)
      if (shell.leave !== undefined) {
        if (this.#leavesLoop()) break
        continue
      }
      if ((tested === 0) === isUntil) break
      status = yield* this.list(body, isTested)
      if (shell.leave !== undefined && this.#leavesLoop()) break
    }
    shell.loopDepth--
    return shell.leave === undefined ? status : shell.lastStatus
  }

  /** Whether the innermost loop ends: yes for `break`, no for a `continue` that is meant for it. */
  #leavesLoop(): boolean {
    const { shell } = this
    if (shell.leave !== 'break' && shell.leave !== 'continue') return true
    if (--shell.leaveLoops > 0) return true
    const isBreak = shell.leave === 'break'
    shell.leave = undefined
    return isBreak
  }

  *#case(node: Extract<Node, { type: 'case' }>, isTested: boolean, isTail: boolean): Task<number> {
    const value = yield* this.expander.text(node.word)
    let status = 0
    let isRunning = false
    for (const { patterns, body, after } of node.items) {
      let isMatched = isRunning
      for (const pattern of patterns) {
        if (isMatched) break
        isMatched =
          pattern.constant === undefined
            ? yield* new Glob(yield* this.expander.pattern(pattern)).matches(value)
            : pattern.constant === value
      }
      isRunning = false
      if (!isMatched) continue
      status = yield* this.list(body, isTested, isTail && after === 'stop')
      if (after === 'stop' || this.shell.leave !== undefined) return status
      isRunning = after === 'fall-through'
    }
    return status
  }

  *#pipeline(
    { commands, isNegated }: Extract<Node, { type: 'pipeline' }>,
    isTested: boolean,
    isTail: boolean,
  ): Task<number> {
    const [only] = commands
    let status: number
    if (commands.length === 1 && only !== undefined) {
      status = yield* this.node(only.node, isTested || isNegated, isTail && !isNegated)
      if (this.shell.leave !== undefined) return this.shell.lastStatus
    } else {
      const isLookedAt = isTested || isNegated
      const run = this.#waitForAll(this.#startPipeline(commands, isLookedAt))
      status = yield* this.#checked(run, isLookedAt)
    }
    return isNegated ? (status === 0 ? 1 : 0) : status
  }

  *#waitForAll(processes: readonly Process[]): Task<number> {
    let status = 0
    let failure = 0
    for (const process of processes) {
      status = yield* this.waitFor(process)
      if (status !== 0) failure = status
    }
    return this.shell.options.pipefail ? failure : status
  }

  /** Starts every member of a pipeline in a subshell of its own, connected in order. */
  #startPipeline(
    members: readonly PipelineMember[],
    isTested: boolean,
    stdin?: Description,
  ): readonly Process[] {
    const processes: Process[] = []
    let input = stdin
    try {
      for (const [index, { node, pipesErrors }] of members.entries()) {
        const replaced: [number, Description][] = []
        if (input !== undefined) replaced.push([0, input])
        const before = input
        input = undefined
        if (index < members.length - 1) {
          const { reader, writer } = createPipe()
          replaced.push([1, writer])
          if (pipesErrors) replaced.push([2, writer])
          input = reader.retain()
        }
        const body: List = [{ node, isBackground: false, line: this.shell.line, text: '' }]
        const run = (inner: Interpreter): Task<number> => inner.main(body, isTested)
        processes.push(this.#fork(run, replaced, stdin !== undefined))
        if (index > 0) before?.release()
      }
    } catch (refusal) {
      input?.release()
      if (refusal instanceof ForkRefused) {
        for (const process of processes) process.kernel.signal(process, signal.kill)
      }
      throw refusal
    }
    return processes
  }

  #background({ node, text }: Statement): number {
    const { shell } = this
    const members: readonly PipelineMember[] =
      node.type === 'pipeline' && !node.isNegated ? node.commands : [{ node, pipesErrors: false }]
    const processes = this.#startPipeline(members, false, new NullDescription())
    shell.lastBackgroundPid = processes.at(-1)?.pid
    const number = (shell.jobs.at(-1)?.number ?? 0) + 1
    shell.jobs.push({ number, processes, text })
    if (shell.jobs.length > endedJobsMax) {
      const ended = shell.jobs.findIndex((job) => job.processes.every((process) => process.status))
      if (ended >= 0) shell.jobs.splice(ended, 1)
    }
    return 0
  }

  /** A child that is a copy of this shell. */
  #fork(
    run: (interpreter: Interpreter) => Task<number>,
    replaced: readonly (readonly [number, Description])[] = [],
    isBackground = false,
  ): Process {
    const { process, shell } = this
    const descriptions = [...process.descriptions]
    for (const [number, description] of replaced) {
      while (descriptions.length <= number) descriptions.push(undefined)
      descriptions[number] = description
    }
    const ignored = isBackground
      ? new Set([...(process.ignored ?? []), signal.int, signal.quit])
      : process.ignored
    return process.spawn({ descriptions, ignored }, (child) =>
      run(new Interpreter(new Shell(child, shell.programs, shell.name, shell))),
    )
  }

  *#arithmeticCommand(
    expression: Extract<Node, { type: 'arithmetic' }>['expression'],
  ): Task<number> {
    return (yield* this.expander.arithmetic(expression)) === 0 ? 1 : 0
  }

  *#testCommand(expression: TestExpression): Task<number> {
    return (yield* this.#isTrue(expression)) ? 0 : 1
  }

  *#isTrue(expression: TestExpression): Task<boolean> {
    switch (expression.type) {
      case 'not':
        return !(yield* this.#isTrue(expression.operand))
      case 'logical': {
        const isAnd = expression.operator === '&&'
        for (const operand of expression.operands) {
          if ((yield* this.#isTrue(operand)) !== isAnd) return !isAnd
        }
        return isAnd
      }
      case 'unary': {
        const operand = yield* this.expander.text(expression.operand)
        if (expression.operator === '-v') return this.shell.get(operand) !== undefined
        return fileTest(new Files(this.process, this.shell.programs), expression.operator, operand)
      }
      case 'binary': {
        const { operator, right } = expression
        const left = yield* this.expander.text(expression.left)
        if (operator === '==' || operator === '=' || operator === '!=') {
          const glob = new Glob(yield* this.expander.pattern(right))
          return (yield* glob.matches(left)) === (operator !== '!=')
        }
        const text = yield* this.expander.text(right)
        if (operator === '=~') {
          return (yield* compileRegex(text, 'extended').search(left)) !== undefined
        }
        if (operator === '<') return left < text
        if (operator === '>') return left > text
        return compareTest(new Files(this.process, this.shell.programs), left, operator, text)
      }
    }
  }

  *#trace(assigned: readonly ByteString[], fields: readonly ByteString[]): Task<void> {
    const prompt = this.shell.getVariable('PS4') ?? ''
    const text = `${prompt}${[...assigned, ...fields.map(quoted)].join(' ')}\n`
    yield* writeComplaint(this.process, text)
  }
}

/** The command with the words of an alias in place of its first one, as often as that is an alias. */
function withAliases(
  command: SimpleCommand,
  aliases: ReadonlyMap<ByteString, SimpleCommand>,
): SimpleCommand {
  const used = new Set<ByteString>()
  let result = command
  for (;;) {
    const [first, ...rest] = result.words
    const isBare = first?.parts.every((part) => part.kind === 'text' && !part.isQuoted)
    const name = isBare === true ? first?.constant : undefined
    const alias = name === undefined || used.has(name) ? undefined : aliases.get(name)
    if (name === undefined || alias === undefined) return result
    used.add(name)
    result = {
      type: 'simple',
      assignments: [...result.assignments, ...alias.assignments],
      words: [...alias.words, ...rest],
      redirects: [...alias.redirects, ...result.redirects],
    }
  }
}

// oxlint-disable-next-line require-yield
function* failed(): Task<number> {
  return 2
}
