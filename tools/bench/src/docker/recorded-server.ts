import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Recorded } from './recording.ts'

/** Answers what was recorded, at once and by itself: an Engine that has nothing to do. */
const [socket = '', file = ''] = process.argv.slice(2)
const recorded = JSON.parse(readFileSync(file, 'utf8')) as readonly Recorded[]
const answers = new Map(
  recorded.map(({ path, headers, body }) => [
    path,
    { headers: Object.entries(headers).flat(), body: Buffer.from(body, 'base64') },
  ]),
)

const server = createServer((request, response) => {
  const path = (request.url ?? '').replace(/^\/v1\.\d+/, '').replace(/\?.*$/, '')
  const answer = answers.get(path)
  if (answer === undefined) response.writeHead(404).end()
  else if (request.method === 'HEAD') response.writeHead(200, answer.headers).end()
  else response.writeHead(200, answer.headers).end(answer.body)
})
server.listen(socket, () => process.stdout.write('listening\n'))
