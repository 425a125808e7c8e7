import { jsonFault } from '@conclave/runtime'
import { RequestInvalid } from './errors.ts'

/** More than anything that is asked for here has. */
const limits = { depthMax: 100, valuesMax: 20_000 }

/**
 * The JSON in a body, which is wiped: an inline secret may stand in it.
 *
 * @param must what the body has to be, as it is told to who sent none
 * @throws RequestInvalid
 */
export function readJson(body: unknown, must: string): unknown {
  if (!Buffer.isBuffer(body) || body.length === 0) {
    throw new RequestInvalid(`the body must be ${must}`)
  }
  try {
    const fault = jsonFault(body, limits)
    if (fault !== undefined) throw new RequestInvalid(`the body ${fault}: send less at once`)
    return parsed(body)
  } finally {
    body.fill(0)
  }
}

/** The JSON in a small body. Undefined: none, or too much. */
export function tryJson(body: unknown): unknown {
  if (!Buffer.isBuffer(body) || jsonFault(body, limits) !== undefined) return undefined
  try {
    return parsed(body)
  } catch {
    return undefined
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    // Not kept as the cause: it quotes what it could not read.
    throw new RequestInvalid('the body is not valid JSON')
  }
}
