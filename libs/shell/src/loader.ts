import { byteString, type ByteString } from './byte-string.ts'
import { commands } from './commands/index.ts'
import { FileSystemError, posixErrors } from './file-system.ts'
import { Files } from './files.ts'
import {
  Invocation,
  runProgram,
  type Program,
  type Programs,
  type Resolution,
} from './invocation.ts'
import { writeComplaint } from './io.ts'
import { environmentValue, type Process } from './kernel.ts'
import { runScriptFile, sh } from './language/sh.ts'
import { baseName } from './paths.ts'
import type { Task } from './wait-set.ts'

/** Where programs are looked for by whoever has no `PATH`. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** How many `#!` lines may lead to each other, as in Linux. */
const interpretersMax = 4

/** What the first line of a script may be long, as in Linux. */
const headSizeBytes = 256

const shellNames: readonly ByteString[] = ['sh', 'ash', 'bash', 'dash']

const byName: ReadonlyMap<ByteString, Program> = new Map<ByteString, Program>([
  ...commands,
  ...shellNames.map((name) => [name, sh] as const),
])

const isProgram = (name: ByteString): boolean => byName.has(name) && name !== ':'

type Refusal = Extract<Resolution, { isFound: false }>

const notFound: Refusal = { isFound: false, status: 127, why: 'not found' }

const refused = (why: string): Refusal => ({ isFound: false, status: 126, why })

/**
 * Finds programs in the order of `PATH`: a real file with a bit to execute it, else, in the usual
 * directories, the simulated program of that name. A file that is a script runs in the interpreter
 * of its first line, or in `sh`; there is no machine code here.
 */
class InstalledPrograms implements Programs {
  has(name: ByteString): boolean {
    return isProgram(name)
  }

  *names(): Iterable<ByteString> {
    for (const name of byName.keys()) if (isProgram(name)) yield name
  }

  find(process: Process, name: ByteString, path: ByteString | undefined): ByteString | undefined {
    const found = this.#search(new Files(process, this), name, path)
    return typeof found === 'string' ? found : undefined
  }

  resolve(process: Process, argv: readonly ByteString[], path: ByteString | undefined): Resolution {
    const files = new Files(process, this)
    const found = this.#search(files, argv[0] ?? '', path)
    return typeof found === 'string' ? this.#loaded(files, found, argv, 0) : found
  }

  #search(files: Files, name: ByteString, path: ByteString | undefined): ByteString | Refusal {
    if (name === '') return notFound
    if (name.includes('/')) return this.#executable(files, name) ?? notFound
    let denied: Refusal | undefined
    for (const directory of (path ?? defaultPath).split(':')) {
      const candidate = directory === '' ? `./${name}` : `${directory}/${name}`
      const found = this.#executable(files, candidate)
      if (typeof found === 'string') return found
      denied ??= found
    }
    return denied ?? notFound
  }

  /** The path itself when it may be executed, why not when something else is there, or nothing. */
  #executable(files: Files, path: ByteString): ByteString | Refusal | undefined {
    try {
      const stat = files.stat(path)
      const mayRun = stat.kind === 'file' && files.mayAccess(stat, 1)
      return mayRun ? path : refused(posixErrors.EACCES)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      return refusal.posix === 'EACCES' ? refused(posixErrors.EACCES) : undefined
    }
  }

  #loaded(
    files: Files,
    path: ByteString,
    argv: readonly ByteString[],
    interpreters: number,
  ): Resolution {
    const head = this.#head(files, path)
    if (head === undefined) return this.#simulated(baseName(path), argv)
    if (typeof head !== 'string') return head
    const args = argv.slice(1)
    if (!head.startsWith('#!')) {
      if (head.includes('\0')) return refused('Exec format error')
      return { isFound: true, run: (process) => runScriptFile(process, this, path, args) }
    }
    const [interpreter = '', ...rest] = head
      .slice(2)
      .trim()
      .split(/[ \t]+/)
    const found = this.#executable(files, interpreter) ?? notFound
    if (typeof found !== 'string') return found
    if (interpreters >= interpretersMax) return refused(posixErrors.ELOOP)
    const option = rest.length === 0 ? [] : [rest.join(' ')]
    return this.#loaded(files, found, [interpreter, ...option, path, ...args], interpreters + 1)
  }

  /** The first line of a file; nothing for a program that exists without one. */
  #head(files: Files, path: ByteString): ByteString | Refusal | undefined {
    try {
      const bytes = files.readHead(path, headSizeBytes)
      if (bytes === undefined) return undefined
      const text = byteString(bytes)
      const end = text.indexOf('\n')
      return end < 0 ? text : text.slice(0, end)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      return refused(posixErrors[refusal.posix])
    }
  }

  #simulated(name: ByteString, argv: readonly ByteString[]): Resolution {
    const program = byName.get(name)
    if (program === undefined) return notFound
    return {
      isFound: true,
      run: (process) => runProgram(program, new Invocation(process, argv, this)),
    }
  }
}

/** The programs that every machine has. */
export const programs: Programs = new InstalledPrograms()

/** What a process that was started from outside runs, found by its argument vector. */
export function* load(process: Process): Task<number> {
  const { argv, environment } = process
  const path = environment.get('PATH')
  const text = path === undefined ? undefined : environmentValue(path)
  const found = programs.resolve(process, argv, text)
  if (found.isFound) return yield* found.run(process)
  yield* writeComplaint(process, `${argv[0] ?? ''}: ${found.why}\n`)
  return found.status
}
