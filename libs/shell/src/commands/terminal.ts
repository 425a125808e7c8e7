import type { Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Terminal } from '../terminal.ts'

/** The name of the terminal that standard input is. */
export const tty: Program = (invocation) => {
  const terminal = invocation.process.descriptions[0]?.terminal
  if (terminal === undefined) return invocation.answer('not a tty\n', 1)
  return invocation.answer(`${terminal.label}\n`)
}

/** Looks at and changes the terminal that standard input is: the settings that this one has. */
export const stty: Program = (invocation) => {
  const terminal = invocation.process.descriptions[0]?.terminal
  if (terminal === undefined) {
    return invocation.fail("'standard input': Inappropriate ioctl for device")
  }
  const { args } = invocation
  if (args.length === 0 || args[0] === '-a') return invocation.answer(settingsOf(terminal))
  if (args[0] === 'size')
    return invocation.answer(`${terminal.size.rows} ${terminal.size.columns}\n`)
  for (const word of args) change(terminal, word)
  return 0
}

const flag = (name: string, isOn: boolean): string => (isOn ? name : `-${name}`)

function settingsOf(terminal: Terminal): string {
  const { rows, columns } = terminal.size
  const flags = [
    flag('isig', terminal.raisesSignals),
    flag('icanon', terminal.isCanonical),
    flag('echo', terminal.echoes),
    flag('onlcr', terminal.translatesOutput),
  ]
  return `speed 38400 baud; rows ${rows}; columns ${columns};\n${flags.join(' ')}\n`
}

function change(terminal: Terminal, word: string): void {
  const isOn = !word.startsWith('-')
  switch (isOn ? word : word.slice(1)) {
    case 'echo':
      terminal.echoes = isOn
      return
    case 'icanon':
      terminal.isCanonical = isOn
      return
    case 'isig':
      terminal.raisesSignals = isOn
      return
    case 'onlcr':
    case 'opost':
      terminal.translatesOutput = isOn
      return
    case 'raw':
      return setAll(terminal, !isOn)
    case 'cooked':
      return setAll(terminal, isOn)
    case 'sane':
      setAll(terminal, true)
      terminal.echoes = true
      return
    default:
      throw new ScriptFault(`invalid argument '${word}'`, 1)
  }
}

function setAll(terminal: Terminal, isCooked: boolean): void {
  terminal.isCanonical = isCooked
  terminal.raisesSignals = isCooked
  terminal.translatesOutput = isCooked
}
