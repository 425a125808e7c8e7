import { takeJsonField, utf8Text, wipe, Redacted, type RedactedBytes } from '@conclave/kernel'
import { jsonFault } from '@conclave/runtime'
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { base64Decoded } from './base64.ts'
import { Refusal } from './errors.ts'

/**
 * The body of a request as JSON of `schema`: unknown fields are left out, null is unset. Source:
 * docker-swarm.md A3.
 *
 * @throws Refusal
 */
export function readBody<T>(request: FastifyRequest, schema: z.ZodType<T>): T {
  return parse(bytesOf(request), schema)
}

/**
 * As {@link readBody}, with the base64 at the field `Data` read as bytes and taken out before anything
 * becomes text. The caller wipes it. Undefined when it is null or not there.
 *
 * @throws Refusal
 */
export function readBodyWithData<T>(
  request: FastifyRequest,
  schema: z.ZodType<T>,
): { readonly body: T; readonly data: RedactedBytes | undefined } {
  const json = bytesOf(request)
  if (isNull(json)) return { body: parse(json, schema), data: undefined }
  const field = takeField(json, 'Data')
  try {
    const body = parse(json, schema)
    if (field.kind === 'other') throw mismatch(['Data'])
    const data = field.kind === 'string' ? new Redacted(base64Decoded(field.bytes)) : undefined
    return { body, data }
  } finally {
    if (field.kind === 'string') wipe(field.bytes)
  }
}

/**
 * As {@link readBody}, with the text at `name` taken out as bytes before anything else becomes text. The
 * caller wipes it; it is empty when there is none.
 *
 * @throws Refusal
 */
export function readBodyWithText<T>(
  request: FastifyRequest,
  name: string,
  schema: z.ZodType<T>,
): { readonly body: T; readonly text: RedactedBytes } {
  const json = bytesOf(request)
  const field = takeField(json, name)
  if (field.kind === 'other') throw mismatch([name])
  const text = new Redacted(field.kind === 'string' ? field.bytes : new Uint8Array())
  try {
    return { body: parse(json, schema), text }
  } catch (error) {
    wipe(text)
    throw error
  }
}

function bytesOf({ body }: FastifyRequest): Buffer {
  if (Buffer.isBuffer(body) && body.length > 0) return body
  throw new Refusal(400, 'got EOF while reading request body')
}

/** To Go it is an object without fields. */
const isNull = (json: Buffer): boolean => json.length < 16 && json.toString().trim() === 'null'

function takeField(json: Buffer, name: string): ReturnType<typeof takeJsonField> {
  checkSize(json)
  try {
    return takeJsonField(json, name)
  } catch {
    throw unreadable()
  }
}

/** JSON of `schema` that came by another way. @throws Refusal */
export function parseJson<T>(json: Buffer, schema: z.ZodType<T>): T {
  if (json.length === 0) throw new Refusal(400, 'got EOF while reading request body')
  return parse(json, schema)
}

/** More than any service has. */
const limits = { depthMax: 100, valuesMax: 20_000 }

function checkSize(json: Buffer): void {
  const fault = jsonFault(json, limits)
  if (fault !== undefined) throw new Refusal(400, `the body ${fault}: send less at once`)
}

function parse<T>(json: Buffer, schema: z.ZodType<T>): T {
  checkSize(json)
  let value: unknown
  try {
    value = JSON.parse(utf8Text(json))
  } catch {
    throw unreadable()
  }
  const parsed = schema.safeParse(value ?? {})
  if (parsed.success) return parsed.data
  throw mismatch(parsed.error.issues[0]?.path ?? [])
}

// Go says at which character, and quotes it; ours is the text it has for the most usual case.
const unreadable = (): Refusal => new Refusal(400, 'unexpected EOF')

const mismatch = (path: readonly PropertyKey[]): Refusal => {
  const field = path.map(String).join('.') || 'the body'
  return new Refusal(400, `json: cannot unmarshal ${field.slice(0, 128)}: it is of another type`)
}
