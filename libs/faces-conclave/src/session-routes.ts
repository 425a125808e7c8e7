import type { Readable } from 'node:stream'
import type { Caller, MasterApi, SessionOutput, TaskSession } from '@conclave/actors'
import { linesOf } from '@conclave/runtime'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RequestInvalid } from './errors.ts'
import { queryOf } from './query.ts'
import { noHead, sendLines, untilClosed } from './streaming.ts'

const ExecRequest = z.object({
  argv: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()).optional(),
})

const ExecInput = z.union([
  z.object({ data: z.base64() }),
  z.object({ eof: z.literal(true) }),
  z.object({ signal: z.string().max(16) }),
])

/** Room for a line of base64 that a client read in one piece. */
const lineBytesMax = 1024 * 1024

/**
 * What a container prints, and a way in. Both answer with lines of JSON: `{"stream","data"}` with
 * base64 data, then `{"end":{"exitCode","error"}}`. The body of an exec is lines, too: first
 * `{"argv","env"}`, then any of `{"data"}`, `{"signal"}` and `{"eof":true}`.
 */
export const sessionRoutes =
  (master: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

    app.get<{ Params: { id: string } }>(
      '/conclave/v1/tasks/:id/logs',
      noHead,
      async (request, reply) => {
        const follow = queryOf(request, 'follow') === 'true'
        const session = await master.tasks.logs(caller(request), request.params.id, { follow })
        await answer(session, reply)
      },
    )

    app.post<{ Params: { id: string }; Body: Readable | undefined }>(
      '/conclave/v1/tasks/:id/exec',
      async (request, reply) => {
        const { body } = request
        const input = body && inputLines(body)
        // What nobody reads any more must still go by, or the connection cannot be used again.
        const passBy = async (): Promise<void> => {
          await input?.return(undefined).catch(() => undefined)
          body?.resume()
        }
        try {
          const { argv, env } = await readCommand(input)
          const session = await master.tasks.exec(caller(request), request.params.id, {
            argv,
            ...(env && { env }),
          })
          void feed(session, input).then(passBy)
          await answer(session, reply)
        } catch (error) {
          void passBy()
          throw error
        }
      },
    )
  }

/** Leaving the lines early does not end the request: the answer goes on over its connection. */
const inputLines = (body: Readable): AsyncGenerator<string> =>
  linesOf({ [Symbol.asyncIterator]: () => body.iterator({ destroyOnReturn: false }) }, lineBytesMax)

async function readCommand(
  input: AsyncGenerator<string> | undefined,
): Promise<z.infer<typeof ExecRequest>> {
  const first = await input?.next().catch(() => undefined)
  const asked = ExecRequest.safeParse(parseLine(first?.done === false ? first.value : ''))
  if (asked.success) return asked.data
  throw new RequestInvalid('the first line of the body must be {"argv": ["program", ...]}')
}

async function answer(session: TaskSession, reply: FastifyReply): Promise<void> {
  const closed = untilClosed(reply)
  if (closed.aborted) session.close()
  else closed.addEventListener('abort', () => session.close(), { once: true })
  await sendLines(reply, lines(session), closed)
}

async function* lines(session: TaskSession): AsyncGenerator {
  for await (const output of session.output()) yield line(output)
}

function line(output: SessionOutput): unknown {
  return output.kind === 'data'
    ? { stream: output.stream, data: Buffer.from(output.bytes).toString('base64') }
    : { end: { exitCode: output.exitCode ?? null, error: output.error ?? null } }
}

/** Passes input on until the client ends it or goes away; a line that is off ends the input. */
async function feed(
  session: TaskSession,
  input: AsyncGenerator<string> | undefined,
): Promise<void> {
  try {
    for await (const text of input ?? []) {
      const asked = ExecInput.safeParse(parseLine(text))
      if (!asked.success || 'eof' in asked.data) break
      if ('data' in asked.data) session.write(Buffer.from(asked.data.data, 'base64'))
      else session.signal(asked.data.signal)
    }
  } catch {
    // The client went away in the middle of its body; the answer's side notices and closes.
  }
  session.endInput()
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
