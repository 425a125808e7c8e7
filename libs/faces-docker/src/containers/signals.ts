import { constants } from 'node:os'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'
import type { Container } from './container.ts'
import { imageOf } from './process.ts'

const signalMax = 64
/** Of which there are thirty, counted from either end. */
const realTime = /^RTM(?:IN(?:\+(?:[1-9]|1[0-5]))?|AX(?:-(?:[1-9]|1[0-4]))?)$/
const realTimeMin = 34

/** As agents take it: without `SIG`, or a number. Source: moby, `signal.ParseSignal`. @throws Refusal */
export function signalIn(text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, '')
  if (signalNumber(name) !== undefined) return name
  if (/^-?0*[1-9]\d{0,8}$/.test(text)) {
    throw new Refusal(400, `the linux daemon does not support signal ${Number(text)}`)
  }
  throw new Refusal(400, `invalid signal: ${printable(text)}`)
}

/** Of a name without `SIG`; undefined for what is none. */
export function signalNumber(name: string): number | undefined {
  if (/^[1-9]\d?$/.test(name)) return Number(name) <= signalMax ? Number(name) : undefined
  if (realTime.test(name)) {
    const steps = Number(/\d+$/.exec(name)?.[0] ?? 0)
    return name.startsWith('RTMAX') ? signalMax - steps : realTimeMin + steps
  }
  const known = constants.signals as Readonly<Record<string, number>>
  return Object.hasOwn(known, `SIG${name}`) ? known[`SIG${name}`] : undefined
}

/** What asks it to end: its service's, else its image's, else SIGTERM. */
export function stopSignalOf(container: Container, mode: SimulatedImagesMode): number {
  const asked = container.spec.StopSignal || imageOf(container, mode)?.configuration.StopSignal
  const name = (asked ?? 'TERM').toUpperCase().replace(/^SIG/, '')
  return signalNumber(name) ?? constants.signals.SIGTERM
}
