import type { ByteString } from '../byte-string.ts'
import type { FileStat } from '../file-system.ts'
import { Files } from '../files.ts'
import type { Invocation, Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { normalPath } from '../paths.ts'

const fileOperators = 'abcdefghkLprsuwxSNt'

const isUnary = (word: ByteString): boolean =>
  word.length === 2 && word.startsWith('-') && `${fileOperators}nz`.includes(word.slice(1))

const binaryOperators: ReadonlySet<ByteString> = new Set(
  '= == != < > -eq -ne -lt -le -gt -ge -nt -ot -ef'.split(' '),
)

/** The unary operators of `test` and `[[`: what a path is, or what a string holds. */
export function fileTest(files: Files, operator: string, operand: ByteString): boolean {
  if (operator === '-n') return operand !== ''
  if (operator === '-z') return operand === ''
  if (operator === '-t') return /^\d{1,9}$/.test(operand) && files.isTerminal(Number(operand))
  if (operand === '') return false
  if (operator === '-L' || operator === '-h') {
    return files.statIfThere(operand, false)?.kind === 'symlink'
  }
  const stat = files.statIfThere(operand)
  if (stat === undefined) return false
  switch (operator) {
    case '-a':
    case '-e':
      return true
    case '-f':
      return stat.kind === 'file' && !isDevice(files, operand)
    case '-c':
      return isDevice(files, operand)
    case '-d':
      return stat.kind === 'directory'
    case '-s':
      return stat.sizeBytes > 0
    case '-r':
      return files.mayAccess(stat, 4)
    case '-w':
      return files.mayAccess(stat, 2)
    case '-x':
      return files.mayAccess(stat, 1)
    case '-u':
      return (stat.mode & 0o4000) !== 0
    case '-g':
      return (stat.mode & 0o2000) !== 0
    case '-k':
      return (stat.mode & 0o1000) !== 0
    case '-b':
    case '-p':
    case '-S':
    case '-N':
      return false
    default:
      throw new ScriptFault(`${operator}: unexpected operator`)
  }
}

/** The binary operators of `test` and `[[`. @throws ScriptFault for what is no number */
export function compareTest(
  files: Files,
  left: ByteString,
  operator: string,
  right: ByteString,
): boolean {
  switch (operator) {
    case '=':
    case '==':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '>':
      return left > right
    case '-eq':
      return integer(left) === integer(right)
    case '-ne':
      return integer(left) !== integer(right)
    case '-lt':
      return integer(left) < integer(right)
    case '-le':
      return integer(left) <= integer(right)
    case '-gt':
      return integer(left) > integer(right)
    case '-ge':
      return integer(left) >= integer(right)
    case '-nt':
      return compareTimes(files.statIfThere(left), files.statIfThere(right))
    case '-ot':
      return compareTimes(files.statIfThere(right), files.statIfThere(left))
    case '-ef': {
      const one = files.statIfThere(left)
      const other = files.statIfThere(right)
      if (one === undefined || other === undefined) return false
      if (one.inode === 0) return files.realPath(left) === files.realPath(right)
      return one.inode === other.inode && one.device === other.device
    }
    default:
      throw new ScriptFault(`${operator}: unexpected operator`)
  }
}

/** Whether a path is a device that the machine makes up. */
export const isDevice = (files: Files, path: ByteString): boolean =>
  /^\/dev\/(full|null|random|tty|urandom|zero)$/.test(normalPath(files.absolute(path)))

function compareTimes(newer: FileStat | undefined, older: FileStat | undefined): boolean {
  if (newer === undefined) return false
  return older === undefined || newer.modifiedAtMs > older.modifiedAtMs
}

function integer(text: ByteString): bigint {
  const match = /^\s*([+-]?)(\d{1,30})\s*$/.exec(text)
  if (match === null) throw new ScriptFault(`Illegal number: ${text}`)
  const magnitude = BigInt(match[2] ?? '0')
  return match[1] === '-' ? -magnitude : magnitude
}

const depthMax = 100

/** Reads `! a -o ( b -a c )` from left to right. POSIX decides short forms by their length alone. */
class Reader {
  readonly #files: Files
  readonly #words: readonly ByteString[]
  #at = 0
  #depth = 0

  constructor(files: Files, words: readonly ByteString[]) {
    this.#files = files
    this.#words = words
  }

  whole(): boolean {
    const [first = '', second = '', third = '', fourth = ''] = this.#words
    switch (this.#words.length) {
      case 0:
        return false
      case 1:
        return first !== ''
      case 2:
        if (first === '!') return second === ''
        if (isUnary(first)) return fileTest(this.#files, first, second)
        throw new ScriptFault(`${first}: unexpected operator`)
      case 3:
        if (binaryOperators.has(second)) return compareTest(this.#files, first, second, third)
        if (second === '-a') return first !== '' && third !== ''
        if (second === '-o') return first !== '' || third !== ''
        if (first === '!') return !new Reader(this.#files, [second, third]).whole()
        if (first === '(' && third === ')') return second !== ''
        break
      case 4:
        if (first === '!') return !new Reader(this.#files, [second, third, fourth]).whole()
        break
      default:
    }
    const result = this.#or()
    const rest = this.#words[this.#at]
    if (rest !== undefined) throw new ScriptFault(`${rest}: unexpected operator`)
    return result
  }

  #or(): boolean {
    let result = this.#and()
    while (this.#take('-o')) result = this.#and() || result
    return result
  }

  #and(): boolean {
    let result = this.#not()
    while (this.#take('-a')) result = this.#not() && result
    return result
  }

  #not(): boolean {
    if (++this.#depth > depthMax) throw new ScriptFault('too deep')
    const isBinary = binaryOperators.has(this.#words[this.#at + 1] ?? '')
    const result = !isBinary && this.#take('!') ? !this.#not() : this.#primary()
    this.#depth--
    return result
  }

  #primary(): boolean {
    const word = this.#next()
    const operator = this.#words[this.#at]
    if (operator !== undefined && binaryOperators.has(operator)) {
      this.#at++
      return compareTest(this.#files, word, operator, this.#next())
    }
    if (word === '(') {
      const result = this.#or()
      if (!this.#take(')')) throw new ScriptFault('closing paren expected')
      return result
    }
    const isAlone = operator === undefined || operator === ')'
    return isUnary(word) && !isAlone ? fileTest(this.#files, word, this.#next()) : word !== ''
  }

  #take(word: ByteString): boolean {
    if (this.#words[this.#at] !== word) return false
    this.#at++
    return true
  }

  #next(): ByteString {
    const word = this.#words[this.#at]
    if (word === undefined) throw new ScriptFault('argument expected')
    this.#at++
    return word
  }
}

/** `test` and `[`. */
export const test: Program = (invocation: Invocation) => {
  const words = [...invocation.args]
  if (invocation.name === '[' && words.pop() !== ']') throw new ScriptFault("missing ']'")
  return new Reader(invocation.files, words).whole() ? 0 : 1
}
