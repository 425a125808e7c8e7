import type { ByteString } from '../byte-string.ts'

// A simulated machine lives in UTC: nothing in it says another time zone.

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

const dayMs = 86_400_000

const short = (name: string): string => name.slice(0, 3)

const two = (value: number, fill = '0'): string => String(value).padStart(2, fill)

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / dayMs) + 1
}

/** Year and week as ISO 8601 counts them: weeks belong to the year of their Thursday. */
function isoWeek(date: Date): readonly [year: number, week: number] {
  const weekday = (date.getUTCDay() + 6) % 7
  const thursday = new Date(date.getTime() + (3 - weekday) * dayMs)
  return [thursday.getUTCFullYear(), Math.floor((dayOfYear(thursday) - 1) / 7) + 1]
}

const composed: Readonly<Record<string, string>> = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  h: '%b',
  r: '%I:%M:%S %p',
  R: '%H:%M',
  T: '%H:%M:%S',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
}

function field(letter: string, date: Date, nanoseconds: number): string | undefined {
  const hour = date.getUTCHours()
  const year = date.getUTCFullYear()
  const weekday = date.getUTCDay()
  switch (letter) {
    case 'a':
      return short(days[weekday] ?? '')
    case 'A':
      return days[weekday]
    case 'b':
      return short(months[date.getUTCMonth()] ?? '')
    case 'B':
      return months[date.getUTCMonth()]
    case 'C':
      return two(Math.floor(year / 100))
    case 'd':
      return two(date.getUTCDate())
    case 'e':
      return two(date.getUTCDate(), ' ')
    case 'g':
      return two(isoWeek(date)[0] % 100)
    case 'G':
      return String(isoWeek(date)[0])
    case 'H':
      return two(hour)
    case 'I':
      return two(hour % 12 || 12)
    case 'j':
      return String(dayOfYear(date)).padStart(3, '0')
    case 'k':
      return two(hour, ' ')
    case 'l':
      return two(hour % 12 || 12, ' ')
    case 'm':
      return two(date.getUTCMonth() + 1)
    case 'M':
      return two(date.getUTCMinutes())
    case 'n':
      return '\n'
    case 'N':
      return String(nanoseconds).padStart(9, '0')
    case 'p':
      return hour < 12 ? 'AM' : 'PM'
    case 'P':
      return hour < 12 ? 'am' : 'pm'
    case 'q':
      return String(Math.floor(date.getUTCMonth() / 3) + 1)
    case 's':
      return String(Math.floor(date.getTime() / 1000))
    case 'S':
      return two(date.getUTCSeconds())
    case 't':
      return '\t'
    case 'u':
      return String(weekday || 7)
    case 'U':
      return two(Math.floor((dayOfYear(date) + 6 - weekday) / 7))
    case 'V':
      return two(isoWeek(date)[1])
    case 'w':
      return String(weekday)
    case 'W':
      return two(Math.floor((dayOfYear(date) + 6 - ((weekday + 6) % 7)) / 7))
    case 'y':
      return two(year % 100)
    case 'Y':
      return String(year)
    case 'z':
      return '+0000'
    case ':z':
      return '+00:00'
    case '::z':
      return '+00:00:00'
    case 'Z':
      return 'UTC'
    case '%':
      return '%'
    default:
      return undefined
  }
}

/** A moment as `date +FORMAT` and `stat` write it, in UTC. Unknown fields stay as they are. */
export function formatTime(format: ByteString, atMs: number): ByteString {
  const date = new Date(atMs)
  const nanoseconds = Math.floor((((atMs % 1000) + 1000) % 1000) * 1_000_000)
  return format.replace(
    /%([-_0^#]?)(\d{0,3})(:{0,2}[a-zA-Z%])/g,
    (whole, flag: string, width: string, letter: string) => {
      const inner = Object.hasOwn(composed, letter) ? composed[letter] : undefined
      const text = inner === undefined ? field(letter, date, nanoseconds) : formatTime(inner, atMs)
      if (text === undefined) return whole
      if (letter === 'N' && width !== '') return text.slice(0, Number(width))
      return adjusted(text, flag, Number(width), letter)
    },
  )
}

function adjusted(text: string, flag: string, width: number, letter: string): string {
  if (flag === '^') return text.toUpperCase()
  const isNumber = /^[ \d]+$/.test(text)
  if (flag === '-' && isNumber && letter !== 'n') return text.replace(/^[ 0]+(?=\d)/, '')
  if (flag === '_' && isNumber)
    return text.replace(/^0+(?=\d)/, (zeros) => ' '.repeat(zeros.length))
  if (flag === '0' && isNumber) return text.replaceAll(' ', '0')
  return text.padStart(width, isNumber ? '0' : ' ')
}

const monthNumber = (name: string): number =>
  months.findIndex((month) => month.toLowerCase().startsWith(name.slice(0, 3).toLowerCase()))

const unitMs: Readonly<Record<string, number>> = {
  sec: 1000,
  second: 1000,
  min: 60_000,
  minute: 60_000,
  hour: 3_600_000,
  day: dayMs,
  week: 7 * dayMs,
  fortnight: 14 * dayMs,
}

/** Reads `@12.5`, `2024-01-02T03:04:05Z`, `2 days ago`, `tomorrow` and the like; nothing otherwise. */
export function parseTime(text: ByteString, nowMs: number): number | undefined {
  const seconds = /^@(-?\d{1,12}(?:\.\d{1,9})?)$/.exec(text.trim())
  if (seconds !== null) return Number(seconds[1]) * 1000
  let atMs = nowMs
  let rest = text.trim().toLowerCase()
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest)
    if (match !== null) rest = rest.slice(match[0].length).trimStart()
    return match
  }
  let offsetMs = 0
  let hasTime = false
  let hasDate = rest === ''
  for (;;) {
    if (rest === '') break
    let match =
      take(/^(\d{4})-(\d{1,2})-(\d{1,2})(?:t(?=\d))?/) ?? take(/^(\d{4})(\d\d)(\d\d)(?!\d)/)
    if (match !== null) {
      atMs = Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]))
      if (!isDay(atMs, Number(match[2]), Number(match[3]))) return undefined
      hasDate = true
      continue
    }
    match = take(/^(\d{1,2}) ([a-z]{3,9}),? (\d{4})/)
    if (match !== null) {
      const month = monthNumber(match[2] ?? '')
      if (month < 0) return undefined
      atMs = Date.UTC(Number(match[3]), month, Number(match[1]))
      hasDate = true
      continue
    }
    match = take(/^([a-z]{3}) ([a-z]{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (?:utc )?(\d{4})/)
    if (match !== null) {
      const [, , month = '', day, hour, minute, second, year] = match
      atMs = Date.UTC(
        Number(year),
        monthNumber(month),
        Number(day),
        Number(hour),
        Number(minute),
        Number(second),
      )
      hasTime = true
      continue
    }
    match = take(/^(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?/)
    if (match !== null) {
      const [, hour, minute, second = '0', fraction = '0'] = match
      if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
      atMs = Math.floor(atMs / dayMs) * dayMs + (Number(hour) * 60 + Number(minute)) * 60_000
      atMs += Number(second) * 1000 + Number(`0.${fraction}`) * 1000
      hasTime = true
      continue
    }
    match = take(/^(?:utc|gmt|z)(?![a-z])/)
    if (match !== null) continue
    match = take(/^([-+])(\d\d):?(\d\d)(?!\d)/)
    if (match !== null && hasTime) {
      const minutes = Number(match[2]) * 60 + Number(match[3])
      offsetMs -= (match[1] === '-' ? -minutes : minutes) * 60_000
      continue
    }
    match = take(/^(now|today|yesterday|tomorrow)(?![a-z])/)
    if (match !== null) {
      if (match[1] === 'yesterday') offsetMs -= dayMs
      if (match[1] === 'tomorrow') offsetMs += dayMs
      continue
    }
    match = take(
      /^([-+]?) ?(\d{1,6}|next|last|a) ?(sec|second|min|minute|hour|day|week|fortnight|month|year)s?(?![a-z])( ago)?/,
    )
    if (match === null) return undefined
    const [, sign, amount = '', unit = '', ago] = match
    const size = amount === 'last' ? -1 : /^\d/.test(amount) ? Number(amount) : 1
    const count = (sign === '-' ? -1 : 1) * (ago === undefined ? 1 : -1) * size
    if (unit === 'month' || unit === 'year') {
      const date = new Date(atMs)
      date.setUTCMonth(date.getUTCMonth() + count * (unit === 'year' ? 12 : 1))
      atMs = date.getTime()
    } else offsetMs += count * (unitMs[unit] ?? 0)
  }
  if (hasDate && !hasTime) atMs = Math.floor(atMs / dayMs) * dayMs
  return atMs + offsetMs
}

function isDay(atMs: number, month: number, day: number): boolean {
  const date = new Date(atMs)
  return date.getUTCMonth() + 1 === month && date.getUTCDate() === day
}
