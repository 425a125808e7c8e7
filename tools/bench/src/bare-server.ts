import Fastify from 'fastify'

/** What a read could cost at least: the same server, the same size of answer, and nothing behind it. */
const app = Fastify()
const value = 'x'.repeat(256)
app.get('/*', async () => ({ value }))
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
