import { Description } from './description.ts'
import type { OutputGate } from './output-gate.ts'
import { signal } from './signals.ts'
import { WaitSet } from './wait-set.ts'

/** How many rows and columns of characters a terminal shows. */
export interface TerminalSize {
  readonly rows: number
  readonly columns: number
}

/** What Linux lets people type ahead; what is beyond it is lost, as it is there. */
const lineSizeBytesMax = 4096
/** Input that nobody has read: its sender is asked to wait. */
const unreadSizeBytesMax = 65_536

const key = {
  interrupt: 0x03,
  endOfFile: 0x04,
  backspace: 0x08,
  newline: 0x0a,
  carriageReturn: 0x0d,
  killLine: 0x15,
  eraseWord: 0x17,
  quit: 0x1c,
  erase: 0x7f,
} as const

/**
 * A pseudo-terminal as far as programs in a simulated machine notice: lines are edited and echoed before they
 * are read, `^C` and `^\` are signals, `^D` ends the input, and newlines leave as `\r\n`. There is no job
 * control: `^Z` is a character like any other. Source: termios(3), the settings of a fresh terminal.
 */
export class Terminal extends Description {
  readonly label = '/dev/pts/0'
  /** Switched by `stty`. */
  echoes = true
  /** Lines are edited, and read whole. */
  isCanonical = true
  raisesSignals = true
  translatesOutput = true
  size: TerminalSize
  /** Somebody pressed `^C` or `^\`, or the size has changed. */
  onSignal: (number: number) => void = () => {}
  readonly #deliver: (bytes: Uint8Array) => void
  readonly #gate: OutputGate | undefined
  readonly #readable = new WaitSet()
  /** Told when what was typed has been read. */
  readonly #taken: (() => void)[] = []
  #typed: number[] = []
  /** One for each read at most; an empty one is the end of the input, once. */
  #unread: Uint8Array[] = []
  #unreadSizeBytes = 0

  constructor(size: TerminalSize, deliver: (bytes: Uint8Array) => void, gate?: OutputGate) {
    super()
    this.size = size
    this.#deliver = deliver
    this.#gate = gate
  }

  override get terminal(): Terminal {
    return this
  }

  // ── the programs' side ────────────────────────────────────────────────────────────────────────

  read(length: number): Uint8Array | WaitSet {
    const [first] = this.#unread
    if (first === undefined) return this.#readable
    const bytes = first.subarray(0, length)
    if (bytes.length < first.length) this.#unread[0] = first.subarray(length)
    else this.#unread.shift()
    this.#unreadSizeBytes -= bytes.length
    if (this.#unreadSizeBytes < unreadSizeBytesMax) for (const tell of this.#taken.splice(0)) tell()
    return bytes
  }

  override readLine(): Uint8Array | WaitSet {
    return this.read(lineSizeBytesMax)
  }

  write(bytes: Uint8Array): number | WaitSet {
    if (this.#gate?.isShut === true) return this.#gate.room
    this.#deliver(this.translatesOutput ? withReturns(bytes) : bytes)
    return bytes.length
  }

  // ── the person's side ─────────────────────────────────────────────────────────────────────────

  /** Keys that were pressed. False asks to wait a little: nobody reads what was typed. */
  type(bytes: Uint8Array): boolean {
    if (this.isCanonical) for (const byte of bytes) this.#press(byte)
    else this.#pressRaw(bytes)
    return this.#unreadSizeBytes < unreadSizeBytesMax
  }

  /** Calls back once, when there is room for more. */
  onTaken(tell: () => void): void {
    this.#taken.push(tell)
  }

  resize(size: TerminalSize): void {
    this.size = size
    this.onSignal(signal.windowChange)
  }

  #pressRaw(bytes: Uint8Array): void {
    if (this.raisesSignals) {
      for (const byte of bytes) if (this.#raise(byte)) return
    }
    if (this.echoes) this.#show(bytes)
    this.#give(bytes.slice())
  }

  #press(pressed: number): void {
    if (this.raisesSignals && this.#raise(pressed)) return
    const byte = pressed === key.carriageReturn ? key.newline : pressed
    switch (byte) {
      case key.endOfFile:
        return this.#give(this.#takeTyped())
      case key.erase:
      case key.backspace:
        return this.#erase(1)
      case key.killLine:
        return this.#erase(Infinity)
      case key.eraseWord:
        return this.#eraseWord()
      case key.newline:
        this.#typed.push(byte)
        this.#echo(byte)
        return this.#give(this.#takeTyped())
      default:
        if (this.#typed.length >= lineSizeBytesMax - 1) return
        this.#typed.push(byte)
        this.#echo(byte)
    }
  }

  #raise(byte: number): boolean {
    const number = byte === key.interrupt ? signal.int : byte === key.quit ? signal.quit : undefined
    if (number === undefined) return false
    this.#echo(byte)
    // What was typed before it is gone, as without termios' NOFLSH.
    this.#typed = []
    this.#unread = []
    this.#unreadSizeBytes = 0
    this.onSignal(number)
    return true
  }

  #takeTyped(): Uint8Array {
    const line = Uint8Array.from(this.#typed)
    this.#typed = []
    return line
  }

  #give(bytes: Uint8Array): void {
    this.#unread.push(bytes)
    this.#unreadSizeBytes += bytes.length
    this.#readable.wake()
  }

  /** Characters, not bytes: what follows the first byte of one in UTF-8 goes with it. */
  #erase(count: number): void {
    for (let left = count; left > 0 && this.#typed.length > 0; left--) {
      let byte = this.#typed.pop()
      while (byte !== undefined && (byte & 0xc0) === 0x80) byte = this.#typed.pop()
      const width = byte !== undefined && isControl(byte) ? 2 : 1
      if (this.echoes) this.#show(Buffer.from('\b \b'.repeat(width)))
    }
  }

  #eraseWord(): void {
    const isBlank = (): boolean => this.#typed.at(-1) === 0x20 || this.#typed.at(-1) === 0x09
    while (isBlank()) this.#erase(1)
    while (this.#typed.length > 0 && !isBlank()) this.#erase(1)
  }

  #echo(byte: number): void {
    if (!this.echoes) return
    if (byte === key.newline || byte === 0x09 || !isControl(byte)) this.#show(Uint8Array.of(byte))
    else this.#show(Uint8Array.of(0x5e, byte ^ 0x40))
  }

  /** An echo is seen whether or not there is room for more output: a person types little. */
  #show(bytes: Uint8Array): void {
    this.#deliver(this.translatesOutput ? withReturns(bytes) : bytes.slice())
  }
}

const isControl = (byte: number): boolean => byte < 0x20

/** Each newline with a carriage return before it, and the bytes as they are where there is none. */
function withReturns(bytes: Uint8Array): Uint8Array {
  let newlines = 0
  for (const byte of bytes) if (byte === key.newline) newlines++
  if (newlines === 0) return bytes.slice()
  const translated = new Uint8Array(bytes.length + newlines)
  let at = 0
  for (const byte of bytes) {
    if (byte === key.newline) translated[at++] = key.carriageReturn
    translated[at++] = byte
  }
  return translated
}
