import { RequestInvalid } from './errors.ts'

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
    return JSON.parse(body.toString('utf8'))
  } catch {
    // Not kept as the cause: it quotes what it could not read.
    throw new RequestInvalid('the body is not valid JSON')
  } finally {
    body.fill(0)
  }
}
