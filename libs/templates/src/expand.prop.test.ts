import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { expand, type Scope } from './expand.ts'
import { TemplateInvalid } from './template-invalid.ts'

const scope: Scope = {
  fields: { Service: { Name: 'web', Labels: { a: 'b' } } },
  functions: { secret: () => utf8('s3cr3t') },
}

const expanded = (template: string): string =>
  utf8Text(expand(new Redacted(utf8(template)), scope).reveal())

/** A text that begins no action and ends none, in whatever stands beside it. */
const plain = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[{}]/g, '~'))
const space = fc.constantFrom('', ' ', '\n\t ')

/** A text that is written in quotes. */
const quoted = plain.map((text) => text.replaceAll(/["\\\n\r\t`]/g, ''))

/** An action, and what it stands for. */
const action = fc.oneof(
  fc.constant(['.Service.Name', 'web'] as const),
  fc.constant(['index .Service.Labels "a"', 'b'] as const),
  quoted.map((text) => [`"${text}"`, text] as const),
  quoted.map((text) => [`\`${text}}}\``, `${text}}}`] as const),
  quoted.map((text) => [`secret "${text}"`, 's3cr3t'] as const),
  quoted.map((text) => [`join "-" .Service.Name "${text}"`, `web-${text}`] as const),
)

test('TP1: parts that mean something together mean what each means alone', () => {
  const part = fc.oneof(
    plain.map((text) => [text, text] as const),
    fc
      .tuple(space, action, space)
      .map(([a, [text, meant], b]) => [`{{${a}${text}${b}}}`, meant] as const),
  )
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const meant = parts.map(([, one]) => one).join('')
      expect(expanded(parts.map(([text]) => text).join(''))).toBe(meant)
    }),
  )
})

/** A template, and what it comes to: blocks in blocks, with the conditions that they have. */
const block: fc.Arbitrary<readonly [string, string]> = fc.letrec<{
  block: readonly [string, string]
}>((tie) => ({
  block: fc.oneof(
    { maxDepth: 4 },
    plain.map((text) => [text, text] as const),
    fc.tuple(tie('block'), tie('block')).map(([a, b]) => [a[0] + b[0], a[1] + b[1]] as const),
    fc
      .tuple(
        fc.constantFrom(
          ['eq .Service.Name "web"', true] as const,
          ['ne $.Service.Name "web"', false] as const,
          ['not (and 1 "" (secret "a"))', true] as const,
          ['or "" 0', false] as const,
          ['lt 2 (len "ab")', false] as const,
        ),
        tie('block'),
        tie('block'),
      )
      .map(
        ([[condition, holds], a, b]) =>
          [`{{if ${condition}}}${a[0]}{{else}}${b[0]}{{end}}`, holds ? a[1] : b[1]] as const,
      ),
    tie('block').map(
      (a) =>
        [
          `{{range $key, $_ := $.Service.Labels}}{{$key}}{{with $}}${a[0]}{{end}}{{end}}`,
          `a${a[1]}`,
        ] as const,
    ),
  ),
})).block

test('TP1: blocks mean what those in them mean, as their conditions say', () => {
  fc.assert(
    fc.property(block, ([template, meant]) => {
      expect(expanded(template)).toBe(meant)
    }),
  )
})

const trimmed = (text: string, at: RegExp): string => text.replace(at, '')

test('TP1: what is trimmed is the space beside it, and nothing else', () => {
  fc.assert(
    fc.property(plain, plain, (before, after) => {
      const meant = `${trimmed(before, /[ \t\r\n]+$/)}web${trimmed(after, /^[ \t\r\n]+/)}`
      expect(expanded(`${before}{{- .Service.Name -}}${after}`)).toBe(meant)
    }),
  )
})

function outcomeOf(template: string): string {
  try {
    expanded(template)
    return 'a text'
  } catch (error) {
    return error instanceof TemplateInvalid ? error.name : String(error)
  }
}

test('TP3: anything is either expanded or refused', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '"',
    '`',
    '\\',
    '(',
    ')',
    '|',
    '.',
    '-',
    '/*',
    '*/',
    ' ',
    '\n',
    'secret',
    'a',
    '{{if 1}}',
    '{{else}}',
    '{{end}}',
    '{{range $a, $b := .Service.Labels}}',
    '{{with .}}',
    '{{break}}',
    '$a',
    ':=',
    '=',
    ',',
    '7',
    'printf "%d"',
    'eq',
    'and',
    'len',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 30 }), (pieces) => {
      expect(['a text', 'TemplateInvalid']).toContain(outcomeOf(pieces.join('')))
    }),
    { numRuns: 2000 },
  )
})

test('TP7: neither the template nor what functions give is changed', () => {
  const given = utf8('s3cr3t')
  const bytes = utf8('{{join "" (secret "a") (secret "a")}}')
  const before = bytes.slice()
  const result = expand(new Redacted(bytes), { fields: {}, functions: { secret: () => given } })
  expect(utf8Text(result.reveal())).toBe('s3cr3ts3cr3t')
  expect([utf8Text(given), bytes]).toEqual(['s3cr3t', before])
})
