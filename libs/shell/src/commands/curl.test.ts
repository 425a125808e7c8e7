import { describe, expect, test } from 'vitest'
import type { Network, NetworkAnswer, NetworkRequest } from '../network.ts'
import { outcomeOf, record, runToEnd, testMachine, type Outcome } from '../testing/index.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const text = (body: Uint8Array): string => new TextDecoder().decode(body)

/** A network of one host, `app`, that remembers what it was asked. */
class OneHost implements Network {
  readonly requests: NetworkRequest[] = []
  abandoned = 0

  request(request: NetworkRequest, answer: (answer: NetworkAnswer) => void): () => void {
    this.requests.push(request)
    const { hostname, pathname } = new URL(request.url)
    if (hostname === 'closed') answer({ outcome: 'refused' })
    else if (hostname === 'silent') return () => void this.abandoned++
    else if (hostname !== 'app') answer({ outcome: 'unresolved' })
    else answer(this.#answer(pathname, request))
    return () => {}
  }

  #answer(path: string, { method, body }: NetworkRequest): NetworkAnswer {
    if (path === '/missing') return response(404, 'Not Found', 'no such page\n')
    if (path === '/moved') return response(302, 'Found', '', [['Location', '/hello']])
    return response(200, 'OK', method === 'GET' ? 'hello\n' : `${method} ${text(body)}\n`, [
      ['Content-Type', 'text/plain'],
    ])
  }
}

const response = (
  status: number,
  reason: string,
  body: string,
  headers: readonly (readonly [string, string])[] = [],
): NetworkAnswer => ({ outcome: 'response', status, reason, headers, body: bytes(body) })

function run(script: string): Outcome & { readonly network: OneHost } {
  const network = new OneHost()
  const made = testMachine({ network })
  const recording = record(made.machine, ['sh', '-c', script])
  runToEnd(made)
  return { ...outcomeOf(recording), network }
}

describe('curl', () => {
  test('prints the body, with the headers in front when asked', () => {
    expect(run('curl -s http://app/hello').stdout).toBe('hello\n')
    expect(run('curl -si app/hello').stdout).toBe(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello\n',
    )
  })

  test('sends methods, headers and bodies', () => {
    const { stdout, network } = run(
      "printf 'a\\nb' > f; curl -s -X PUT -H 'X-Token: t' --data-binary @f http://app/x",
    )

    expect(stdout).toBe('PUT a\nb\n')
    expect(network.requests[0]?.headers).toContainEqual(['X-Token', 't'])
  })

  test('posts what -d says, joined and as a form', () => {
    const { stdout, network } = run('curl -s -d a=1 -d b=2 http://app/x')

    expect(stdout).toBe('POST a=1&b=2\n')
    expect(network.requests[0]?.headers).toContainEqual([
      'Content-Type',
      'application/x-www-form-urlencoded',
    ])
  })

  test('writes into a file and prints its variables', () => {
    const { stdout } = run("curl -s -o out -w '%{http_code}\\n' http://app/hello; cat out")

    expect(stdout).toBe('200\nhello\n')
  })

  test('follows redirects only with -L', () => {
    expect(run('curl -sL http://app/moved').stdout).toBe('hello\n')
    expect(run("curl -s -w '%{http_code}' http://app/moved").stdout).toBe('302')
  })

  test.each([
    ['http://app/missing', 22, '(22) The requested URL returned error: 404'],
    ['http://nobody/', 6, '(6) Could not resolve host: nobody'],
    [
      'http://closed:81/',
      7,
      "(7) Failed to connect to closed port 81 after 0 ms: Couldn't connect to server",
    ],
    [
      '-m 2 http://silent/',
      28,
      '(28) Operation timed out after 2000 milliseconds with 0 bytes received',
    ],
    ['gopher://app/', 1, '(1) Protocol "gopher" not supported'],
  ])('fails as curl does: %s', (args, exitCode, message) => {
    const failed = run(`curl -sSf ${args}`)

    expect(failed.exitCode).toBe(exitCode)
    expect(failed.stderr).toBe(`curl: ${message}\n`)
    expect(failed.stdout).toBe('')
  })

  test('says nothing with -s alone, and 000 for an answer that never came', () => {
    const { stdout, stderr } = run("curl -s -w '%{http_code}' http://nobody/")

    expect(stdout).toBe('000')
    expect(stderr).toBe('')
  })

  test('abandons its request when it is killed', () => {
    const { network } = run('curl -s http://silent/ & sleep 1; kill $!; wait $!')

    expect(network.abandoned).toBe(1)
  })

  test('refuses an option it does not know with code 2', () => {
    expect(run('curl --socks5 x http://app/').exitCode).toBe(2)
  })

  test('a machine without a network knows no names', () => {
    const made = testMachine()
    const recording = record(made.machine, ['curl', '-sS', 'http://app/'])
    runToEnd(made)

    expect(outcomeOf(recording)).toMatchObject({
      exitCode: 6,
      stderr: 'curl: (6) Could not resolve host: app\n',
    })
  })
})

describe('wget', () => {
  test('fetches into a file or to standard output', () => {
    expect(run('wget -q http://app/hello; cat hello; wget -qO- http://app/moved').stdout).toBe(
      'hello\nhello\n',
    )
  })

  test('fails with 8 for an error of the server and 4 for one of the network', () => {
    expect(run('wget -q http://app/missing').exitCode).toBe(8)
    expect(run('wget -q http://nobody/').exitCode).toBe(4)
  })
})
