import { ConclaveError } from '@conclave/kernel'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Escapes of JSON make a text value at most six times longer than its bytes; the rest is room. */
export const bodyBytesMax = 7 * 1024 * 1024

/** More than any secret could need, so it is not even read to its end. */
export class BodyTooLarge extends ConclaveError {
  readonly code = 'body.too-large'

  constructor() {
    super(`the body has more than ${bodyBytesMax} bytes; a secret may have 1047552`)
  }
}

/**
 * Bodies stay bytes, whatever the client calls them: a value must never become a string. The pieces
 * a body came in are wiped once they are copied, and the copy when the request has been answered.
 */
export function takeBodiesAsBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (_request: FastifyRequest, payload: AsyncIterable<Buffer>) =>
    gatherBody(payload),
  )
  app.addHook('onResponse', async ({ body }) => {
    if (Buffer.isBuffer(body)) body.fill(0)
  })
}

/** The whole of a body. Its pieces are wiped, whether it arrives whole or not. @throws BodyTooLarge */
export async function gatherBody(payload: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  try {
    for await (const piece of payload) {
      pieces.push(piece)
      size += piece.length
      if (size > bodyBytesMax) throw new BodyTooLarge()
    }
    return Buffer.concat(pieces)
  } finally {
    for (const piece of pieces) piece.fill(0)
  }
}
