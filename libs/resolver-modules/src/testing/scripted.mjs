/*
 * Modules for tests: each export is one, and says what is wrong with it by its name. They are plain
 * JavaScript, as a module that knows nothing of this house is.
 */

const refused = (code, message) => Object.assign(new Error(message), { code })
const valueOf = ({ reference }) => Buffer.from(`${reference.name}/${reference.key ?? ''}`)

export const good = (parameters) => ({
  async resolve(secret) {
    if (secret.reference.name === 'none') throw refused('NOT_FOUND', 'nothing of that name')
    return { data: Buffer.concat([Buffer.from(parameters.prefix ?? ''), valueOf(secret)]) }
  },
})

const misbehaving = (misbehave) => () => ({
  async resolve(secret, context) {
    if (secret.reference.name === 'good') return { data: valueOf(secret) }
    return misbehave(secret, context)
  },
})

export const spins = misbehaving(() => {
  for (;;);
})
export const hangs = misbehaving(() => new Promise(() => {}))
export const exits = misbehaving(() => process.exit(0))
export const throwsLater = misbehaving(() => {
  setTimeout(() => {
    throw new Error('far away')
  })
  return new Promise(() => {})
})
export const rejectsElsewhere = misbehaving(() => {
  void Promise.reject(new Error('nobody caught this'))
  return new Promise(() => {})
})
export const answersText = misbehaving(() => ({ data: 'text' }))
export const answersNothing = misbehaving(() => undefined)
export const answersTooMuch = misbehaving(() => ({ data: new Uint8Array(1_048_577) }))
export const throwsText = misbehaving((secret) => {
  throw `the value is ${valueOf(secret).toString()}`
})
export const throwsValue = misbehaving((secret) => {
  throw new TypeError(`the value is ${valueOf(secret).toString()}`)
})
export const prints = misbehaving((secret) => {
  // oxlint-disable-next-line no-console -- a guest may do so
  console.log(valueOf(secret).toString())
  process.stderr.write(valueOf(secret).toString())
  return { data: valueOf(secret) }
})
export const looksAround = misbehaving(() => ({ data: Buffer.from(JSON.stringify(process.env)) }))
export const noFactory = 'a text'
export const noResolver = () => ({})
export const failsAtOnce = () => {
  throw refused('DENIED', 'the token is not right')
}
