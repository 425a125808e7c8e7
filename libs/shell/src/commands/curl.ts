import { bytesOf, fromText, toText, type ByteString } from '../byte-string.ts'
import { complaint, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { NetworkAnswer, NetworkRequest } from '../network.ts'
import { baseName } from '../paths.ts'
import { WaitSet, type Task } from '../wait-set.ts'
import { asciiLower, trimBlanks } from './ascii.ts'
import { encodeBase64 } from './base64.ts'
import { writeInto } from './lines.ts'

type Header = readonly [name: string, value: string]

/** Asks the machine's network and waits for the answer, no longer than `untilMs`. */
function* exchange(
  invocation: Invocation,
  request: NetworkRequest,
  untilMs: number,
): Task<NetworkAnswer> {
  const { network } = invocation.process.kernel.surroundings
  if (network === undefined) return { outcome: 'unresolved' }
  const answered = new WaitSet()
  let answer: NetworkAnswer | undefined
  const abandon = network.request(request, (found) => {
    answer = found
    answered.wake()
  })
  try {
    for (;;) {
      if (answer !== undefined) return answer
      if (invocation.nowMs >= untilMs) return { outcome: 'timed-out' }
      yield untilMs === Infinity ? answered : { untilMs, on: answered }
    }
  } finally {
    abandon()
  }
}

const redirectsMax = 50

/** What `curl` was asked to do. */
interface Order {
  method: string | undefined
  readonly headers: Header[]
  readonly data: ByteString[]
  isDataInQuery: boolean
  isSilent: boolean
  showsErrors: boolean
  failsOnError: 'no' | 'silently' | 'with-body'
  includesHeaders: boolean
  follows: boolean
  output: ByteString | undefined
  usesRemoteName: boolean
  writeOut: ByteString | undefined
  maxSeconds: number
  makesDirectories: boolean
  headersTo: ByteString | undefined
  readonly urls: ByteString[]
}

/** Options of `curl` that take a value, by every name they have. */
const valueOptions: Readonly<Record<string, string>> = {
  X: 'request',
  H: 'header',
  d: 'data',
  o: 'output',
  w: 'write-out',
  m: 'max-time',
  u: 'user',
  A: 'user-agent',
  e: 'referer',
  b: 'cookie',
  T: 'upload-file',
  D: 'dump-header',
}

const flagOptions: Readonly<Record<string, string>> = {
  s: 'silent',
  S: 'show-error',
  f: 'fail',
  i: 'include',
  I: 'head',
  L: 'location',
  G: 'get',
  k: 'insecure',
  O: 'remote-name',
  v: 'verbose',
  g: 'globoff',
  N: 'no-buffer',
  q: 'disable',
  '#': 'progress-bar',
  4: 'ipv4',
  6: 'ipv6',
}

const longWithValue = new Set([
  ...Object.values(valueOptions),
  'data-raw',
  'data-binary',
  'data-ascii',
  'data-urlencode',
  'json',
  'url',
  'connect-timeout',
  'cacert',
  'retry',
  'retry-delay',
])

const longFlags = new Set([
  ...Object.values(flagOptions),
  'fail-with-body',
  'create-dirs',
  'compressed',
  'http1.1',
  'no-progress-meter',
])

function* parse(invocation: Invocation): Task<Order> {
  const order: Order = {
    method: undefined,
    headers: [],
    data: [],
    isDataInQuery: false,
    isSilent: false,
    showsErrors: false,
    failsOnError: 'no',
    includesHeaders: false,
    follows: false,
    output: undefined,
    usesRemoteName: false,
    writeOut: undefined,
    maxSeconds: Infinity,
    makesDirectories: false,
    headersTo: undefined,
    urls: [],
  }
  const args = [...invocation.args]
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (arg === '-' || !arg.startsWith('-')) order.urls.push(arg)
    else if (arg.startsWith('--')) {
      const name = arg.slice(2)
      if (longFlags.has(name)) turnOn(order, name)
      else if (longWithValue.has(name)) yield* give(invocation, order, name, args.shift(), arg)
      else throw unknownOption(arg)
    } else {
      for (let at = 1; at < arg.length; at++) {
        const letter = arg[at] ?? ''
        const flag = Object.hasOwn(flagOptions, letter) ? flagOptions[letter] : undefined
        if (flag !== undefined) {
          turnOn(order, flag)
          continue
        }
        const name = Object.hasOwn(valueOptions, letter) ? valueOptions[letter] : undefined
        if (name === undefined) throw unknownOption(`-${letter}`)
        const value = at + 1 < arg.length ? arg.slice(at + 1) : args.shift()
        yield* give(invocation, order, name, value, `-${letter}`)
        break
      }
    }
  }
  return order
}

const unknownOption = (option: ByteString): ScriptFault =>
  new ScriptFault(`option ${option}: is unknown\ncurl: try 'curl --help' for more information`, 2)

function turnOn(order: Order, name: string): void {
  switch (name) {
    case 'silent':
      order.isSilent = true
      break
    case 'show-error':
      order.showsErrors = true
      break
    case 'fail':
      order.failsOnError = 'silently'
      break
    case 'fail-with-body':
      order.failsOnError = 'with-body'
      break
    case 'include':
      order.includesHeaders = true
      break
    case 'head':
      order.method ??= 'HEAD'
      order.includesHeaders = true
      break
    case 'location':
      order.follows = true
      break
    case 'get':
      order.isDataInQuery = true
      break
    case 'remote-name':
      order.usesRemoteName = true
      break
    case 'create-dirs':
      order.makesDirectories = true
      break
    case 'verbose':
      throw new ScriptFault('option -v: is not supported', 2)
    default:
    // Certificates, progress, address family: nothing of that exists here.
  }
}

function* give(
  invocation: Invocation,
  order: Order,
  name: string,
  value: ByteString | undefined,
  option: ByteString,
): Task<void> {
  if (value === undefined) {
    throw new ScriptFault(`option ${option}: requires parameter`, 2)
  }
  switch (name) {
    case 'request':
      order.method = text(value)
      break
    case 'header':
      addHeader(order.headers, value)
      break
    case 'data':
    case 'data-ascii':
      order.data.push(yield* fileOrText(invocation, value, true))
      break
    case 'data-binary':
      order.data.push(yield* fileOrText(invocation, value, false))
      break
    case 'data-raw':
      order.data.push(value)
      break
    case 'data-urlencode':
      order.data.push(yield* encoded(invocation, value))
      break
    case 'json':
      order.data.push(yield* fileOrText(invocation, value, false))
      addHeader(order.headers, 'Content-Type: application/json')
      addHeader(order.headers, 'Accept: application/json')
      break
    case 'upload-file':
      order.method ??= 'PUT'
      order.data.push(yield* fileOrText(invocation, value === '-' ? '@-' : `@${value}`, false))
      break
    case 'output':
      order.output = value
      break
    case 'dump-header':
      order.headersTo = value
      break
    case 'write-out':
      order.writeOut = yield* fileOrText(invocation, value, false)
      break
    case 'max-time':
    case 'connect-timeout':
      if (!/^\d{1,9}(\.\d{1,6})?$/.test(value)) {
        throw new ScriptFault(`option ${option}: expected a proper numerical parameter`, 2)
      }
      order.maxSeconds = Math.min(order.maxSeconds, Number(value) || Infinity)
      break
    case 'user':
      addHeader(order.headers, `Authorization: Basic ${encodeBase64(bytesOf(value))}`)
      break
    case 'user-agent':
      addHeader(order.headers, `User-Agent: ${value}`)
      break
    case 'referer':
      addHeader(order.headers, `Referer: ${value}`)
      break
    case 'cookie':
      if (!value.includes('='))
        throw new ScriptFault('option -b: cookie files are not supported', 2)
      addHeader(order.headers, `Cookie: ${value}`)
      break
    case 'url':
      order.urls.push(value)
      break
    default:
    // A certificate to trust, a number of retries: connections of this network do not fail that way.
  }
}

function addHeader(headers: Header[], line: ByteString): void {
  const cut = line.search(/[:;]/)
  if (cut <= 0) return
  const value = trimBlanks(line.slice(cut + 1))
  // `Name:` takes a header away, `Name;` sends it empty.
  const name = text(line.slice(0, cut))
  const before = headers.findIndex(([other]) => other.toLowerCase() === name.toLowerCase())
  if (before >= 0 && name.toLowerCase() === 'content-type') headers.splice(before, 1)
  headers.push([name, text(value)])
}

const text = (bytes: ByteString): string => toText(bytes) ?? bytes

function* fileOrText(
  invocation: Invocation,
  value: ByteString,
  dropsNewlines: boolean,
): Task<ByteString> {
  if (!value.startsWith('@')) return value
  const path = value.slice(1)
  try {
    const input = invocation.openInput(path)
    try {
      const whole = yield* invocation.readText(input)
      return dropsNewlines ? whole.replace(/[\r\n\0]/g, '') : whole
    } finally {
      input.release()
    }
  } catch (refusal) {
    throw new ScriptFault(`Failed to open ${path}: ${complaint(refusal)}`, 26)
  }
}

const percentEncoded = (bytes: ByteString): ByteString =>
  bytes.replace(
    /[^\w.~-]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )

function* encoded(invocation: Invocation, value: ByteString): Task<ByteString> {
  const cut = value.search(/[=@]/)
  if (cut < 0) return percentEncoded(value)
  const name = value.slice(0, cut)
  const raw =
    value[cut] === '@'
      ? yield* fileOrText(invocation, value.slice(cut), false)
      : value.slice(cut + 1)
  return (name === '' ? '' : `${name}=`) + percentEncoded(raw)
}

/** A complaint with the number that is curl's exit code too. */
class CurlFault extends Error {
  readonly status: number
  /** The answer that was the fault, if there was one. */
  readonly response: Response | undefined

  constructor(status: number, message: string, response?: Response) {
    super(message)
    this.status = status
    this.response = response
  }
}

export const curl: Program = function* (invocation) {
  const order = yield* parse(invocation)
  if (order.urls.length === 0) {
    throw new ScriptFault("no URL specified\ncurl: try 'curl --help' for more information", 2)
  }
  let status = 0
  for (const url of order.urls) {
    try {
      yield* transfer(invocation, order, url)
      status = 0
    } catch (fault) {
      if (!(fault instanceof CurlFault)) throw fault
      status = fault.status
      if (!order.isSilent || order.showsErrors) {
        yield* invocation.flush()
        yield* invocation.complain(`(${fault.status}) ${fromText(fault.message)}`)
      }
      yield* writeOut(invocation, order.writeOut, fault.response, url)
    }
  }
  return status
}

function address(given: ByteString): URL {
  const whole = text(given)
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(whole)
  const url = URL.parse(hasScheme ? whole : `http://${whole}`)
  if (url === null || url.hostname === '')
    throw new CurlFault(3, 'URL using bad/illegal format or missing URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new CurlFault(1, `Protocol "${url.protocol.slice(0, -1)}" not supported`)
  }
  return url
}

type Response = Extract<NetworkAnswer, { outcome: 'response' }>

function* transfer(invocation: Invocation, order: Order, given: ByteString): Task<void> {
  let url = address(given)
  const body = order.data.join('&')
  const hasBody = order.data.length > 0 && !order.isDataInQuery
  if (order.isDataInQuery && body !== '')
    url.search += `${url.search === '' ? '?' : '&'}${text(body)}`
  let method = order.method ?? (hasBody ? 'POST' : 'GET')
  let sends = hasBody
  const untilMs = invocation.nowMs + order.maxSeconds * 1000
  for (let hop = 0; ; hop++) {
    const response = yield* ask(
      invocation,
      {
        method,
        url: url.href,
        headers: headersOf(order, sends),
        body: sends ? bytesOf(body) : new Uint8Array(0),
      },
      untilMs,
      order.maxSeconds,
    )
    const location = response.headers.find(([name]) => name.toLowerCase() === 'location')?.[1]
    const isRedirect = response.status >= 300 && response.status < 400 && location !== undefined
    if (!isRedirect || !order.follows) {
      return yield* deliver(invocation, order, response, url, method)
    }
    if (hop >= redirectsMax) throw new CurlFault(47, `Maximum (${redirectsMax}) redirects followed`)
    if (order.includesHeaders) invocation.put(headerText(response))
    const next = URL.parse(location, url.href)
    if (next === null) throw new CurlFault(3, 'URL using bad/illegal format or missing URL')
    url = next
    const becomesGet = response.status === 303 || (response.status <= 302 && method === 'POST')
    if (becomesGet && order.method === undefined) {
      method = 'GET'
      sends = false
    }
  }
}

function headersOf(order: Order, sends: boolean): readonly Header[] {
  const removed = new Set(
    order.headers.filter(([, value]) => value === '').map(([name]) => name.toLowerCase()),
  )
  const given = order.headers.filter(([, value]) => value !== '')
  const has = (name: string): boolean =>
    removed.has(name) || given.some(([other]) => other.toLowerCase() === name)
  const own: Header[] = []
  if (!has('user-agent')) own.push(['User-Agent', 'curl/8.5.0'])
  if (!has('accept')) own.push(['Accept', '*/*'])
  if (sends && !has('content-type') && order.method !== 'PUT') {
    own.push(['Content-Type', 'application/x-www-form-urlencoded'])
  }
  return [...own, ...given]
}

function* ask(
  invocation: Invocation,
  request: NetworkRequest,
  untilMs: number,
  maxSeconds: number,
): Task<Response> {
  const answer = yield* exchange(invocation, request, untilMs)
  const { hostname, port, protocol } = new URL(request.url)
  switch (answer.outcome) {
    case 'response':
      return answer
    case 'unresolved':
      throw new CurlFault(6, `Could not resolve host: ${hostname}`)
    case 'refused': {
      const shown = port || (protocol === 'https:' ? '443' : '80')
      throw new CurlFault(
        7,
        `Failed to connect to ${hostname} port ${shown} after 0 ms: Couldn't connect to server`,
      )
    }
    default: {
      const ms = Number.isFinite(maxSeconds) ? Math.round(maxSeconds * 1000) : 0
      throw new CurlFault(28, `Operation timed out after ${ms} milliseconds with 0 bytes received`)
    }
  }
}

function headerText(response: Response): ByteString {
  const lines = response.headers.map(([name, value]) => `${name}: ${value}\r\n`)
  return fromText(`HTTP/1.1 ${response.status} ${response.reason}\r\n${lines.join('')}\r\n`)
}

function* deliver(
  invocation: Invocation,
  order: Order,
  response: Response,
  url: URL,
  method: string,
): Task<void> {
  const isFailure = response.status >= 400 && order.failsOnError !== 'no'
  const fault = new CurlFault(22, `The requested URL returned error: ${response.status}`, response)
  if (isFailure && order.failsOnError === 'silently') throw fault
  const head = order.includesHeaders ? headerText(response) : ''
  const body = method === 'HEAD' ? new Uint8Array(0) : response.body
  const remote = order.usesRemoteName ? baseName(fromText(url.pathname)) : undefined
  if (remote === '' || remote === '/') throw new CurlFault(23, 'Remote file name has no length')
  const path = order.output ?? remote
  if (order.headersTo !== undefined) {
    yield* save(invocation, order, order.headersTo, bytesOf(headerText(response)))
  }
  if (path === undefined || path === '-') {
    invocation.put(head)
    yield* invocation.write(body.slice())
  } else {
    const bytes = new Uint8Array(head.length + body.length)
    bytes.set(bytesOf(head))
    bytes.set(body, head.length)
    yield* save(invocation, order, path, bytes)
  }
  if (isFailure) throw fault
  yield* writeOut(invocation, order.writeOut, response, fromText(url.href))
}

function* save(
  invocation: Invocation,
  order: Order,
  path: ByteString,
  bytes: Uint8Array,
): Task<void> {
  const { files } = invocation
  if (path === '-') {
    yield* invocation.write(bytes)
    return
  }
  try {
    if (order.makesDirectories) {
      const names = path.split('/').slice(0, -1)
      for (const [index] of names.entries()) {
        const prefix = names.slice(0, index + 1).join('/')
        if (prefix !== '' && files.statIfThere(prefix) === undefined) files.mkdir(prefix)
      }
    }
    const output = files.open(path, { write: true, create: true, truncate: true }).retain()
    try {
      yield* writeInto(output, bytes)
    } finally {
      output.release()
    }
  } catch (refusal) {
    yield* invocation.complain(`Warning: Failed to open the file ${complaint(refusal, path)}`)
    throw new CurlFault(23, 'client returned ERROR on write, 0 bytes received')
  }
}

/** `-w`: variables such as `%{http_code}` of the transfer that just ended. */
function* writeOut(
  invocation: Invocation,
  format: ByteString | undefined,
  response: Response | undefined,
  url: ByteString,
): Task<void> {
  if (format === undefined) return
  const header = (name: string): ByteString =>
    fromText(response?.headers.find(([other]) => other.toLowerCase() === name)?.[1] ?? '')
  const variables: Readonly<Record<string, ByteString>> = {
    http_code: String(response?.status ?? 0).padStart(3, '0'),
    response_code: String(response?.status ?? 0).padStart(3, '0'),
    size_download: String(response?.body.length ?? 0),
    content_type: header('content-type'),
    redirect_url: header('location'),
    url_effective: url,
    url,
    time_total: '0.000000',
  }
  invocation.put(
    format
      .replace(/%(?:%|\{([a-z_]+)\})/g, (_, name?: string) =>
        name === undefined
          ? '%'
          : ((Object.hasOwn(variables, name) ? variables[name] : undefined) ?? ''),
      )
      .replaceAll(String.raw`\n`, '\n')
      .replaceAll(String.raw`\t`, '\t')
      .replaceAll(String.raw`\r`, '\r'),
  )
  yield* invocation.flush()
}

/** `wget`, as far as it is `curl` with other words. */
export const wget: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('qO:SnvcT:t:h:p:m:k', {
    quiet: 'q',
    'output-document': 'O',
    'server-response': 'S',
    'no-verbose': 'n',
    timeout: 'T',
    tries: 't',
    header: 'h',
    'post-data': 'p',
    method: 'm',
    'no-check-certificate': 'k',
  })
  const isQuiet = flags.has('q')
  if (operands.length === 0) throw new ScriptFault('missing URL', 1)
  const seconds = Number(values.get('T')?.at(-1) ?? Infinity)
  const headers: Header[] = []
  for (const line of values.get('h') ?? []) addHeader(headers, line)
  const post = values.get('p')?.at(-1)
  let status = 0
  const fail = function* (message: string, code: number): Task<void> {
    status = code
    if (!isQuiet) yield* invocation.complain(fromText(message))
  }
  for (const operand of operands) {
    let url: URL
    try {
      url = address(operand)
    } catch (fault) {
      if (!(fault instanceof CurlFault)) throw fault
      yield* fail(fault.message, 1)
      continue
    }
    for (let hop = 0; ; hop++) {
      const request = {
        method: text(values.get('m')?.at(-1) ?? (post === undefined ? 'GET' : 'POST')),
        url: url.href,
        headers: [['User-Agent', 'Wget/1.21'], ['Accept', '*/*'], ...headers] as const,
        body: bytesOf(post ?? ''),
      }
      const answer = yield* exchange(invocation, request, invocation.nowMs + seconds * 1000)
      if (answer.outcome === 'unresolved') {
        yield* fail(`unable to resolve host address '${url.hostname}'`, 4)
      } else if (answer.outcome !== 'response') {
        const why = answer.outcome === 'refused' ? 'Connection refused' : 'Connection timed out'
        yield* fail(`Connecting to ${url.host}... failed: ${why}.`, 4)
      } else {
        const location = answer.headers.find(([name]) => asciiLower(name) === 'location')?.[1]
        const next =
          answer.status >= 300 && answer.status < 400 && location !== undefined
            ? URL.parse(location, url.href)
            : null
        if (next !== null && hop < 20) {
          url = next
          continue
        }
        if (answer.status >= 400)
          yield* fail(`server returned error: HTTP/1.1 ${answer.status} ${answer.reason}`, 8)
        else yield* store(invocation, values.get('O')?.at(-1), url, answer)
      }
      break
    }
  }
  return status
}

function* store(
  invocation: Invocation,
  given: ByteString | undefined,
  url: URL,
  { body }: Response,
): Task<void> {
  if (given === '-') {
    yield* invocation.write(body.slice())
    return
  }
  const name = baseName(fromText(url.pathname))
  const path = given ?? (name === '' || name === '/' ? 'index.html' : name)
  const output = invocation.files.open(path, { write: true, create: true, truncate: true }).retain()
  try {
    yield* writeInto(output, body.slice())
  } finally {
    output.release()
  }
}

/** `nc`: the network of a simulated machine carries requests and answers, not bare connections. */
export const nc: Program = (invocation) =>
  invocation.fail('raw connections are not supported here, use curl or wget')
