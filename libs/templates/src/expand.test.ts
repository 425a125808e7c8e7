import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { expand, expandText, TemplateFunctionFailed, type Scope } from './expand.ts'
import { TemplateInvalid } from './template-invalid.ts'

const secrets: Readonly<Record<string, string>> = { db: 's3cr3t', 'my secret': 'x' }

const scope: Scope = {
  fields: {
    Service: { ID: 'svc1', Name: 'web', Labels: { tier: 'front', 'a.b': 'c' } },
    Node: { ID: 'n1', Hostname: 'laptop', Platform: { Architecture: 'x86_64', OS: 'linux' } },
    Task: { ID: 't1', Name: 'web.1.t1', Slot: '1' },
  },
  functions: {
    secret: (target) => {
      const value = secrets[target]
      if (value === undefined) throw new TemplateFunctionFailed(`secret target not found`)
      return utf8(value)
    },
    env: (name) => utf8(name === 'HOME' ? '/root' : ''),
  },
}

const expanded = (template: string): string =>
  utf8Text(expand(new Redacted(utf8(template)), scope).reveal())

function fault(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof TemplateInvalid) return error.message
    throw error
  }
  return 'none'
}

describe('TP1: a template', () => {
  test.each([
    ['no actions at all\n', 'no actions at all\n'],
    ['{{.Service.Name}} on {{ .Node.Hostname }}', 'web on laptop'],
    ['{{.Service.ID}}{{.Node.Platform.Architecture}}/{{.Node.Platform.OS}}', 'svc1x86_64/linux'],
    ['{{.Task.Name}}#{{.Task.Slot}}', 'web.1.t1#1'],
    ['{{.Service.Labels.tier}} {{index .Service.Labels "a.b"}}', 'front c'],
    ['[{{index .Service.Labels "nosuch"}}]', '[]'],
    ['{{.Service.Labels}}', 'map[a.b:c tier:front]'],
    ['pw={{secret "db"}}\n', 'pw=s3cr3t\n'],
    ['{{secret `my secret`}}', 'x'],
    ['{{env "HOME"}}{{env "NOSUCH"}}', '/root'],
    ['{{"db" | secret}}', 's3cr3t'],
    ['{{join "," "a" (secret "db") .Task.ID}}', 'a,s3cr3t,t1'],
    ['a {{- "b" -}} \n c', 'abc'],
    ['a{{/* a }} comment */}}b{{- /* c */ -}}  d', 'abd'],
    ['{{"}}"}}{{`{{`}}', '}}{{'],
    ['{{"q\\"\\n"}}', 'q"\n'],
    ['{ {{.Task.ID}} }', '{ t1 }'],
  ])('%j becomes %j', (template, text) => {
    expect(expanded(template)).toBe(text)
  })

  test('TP2: is bytes, whatever bytes they are', () => {
    const bytes = Uint8Array.of(0, 255, 0xc3, 10, 128)
    const template = Buffer.concat([bytes, utf8('{{.Task.ID}}'), bytes])
    const result = expand(new Redacted(new Uint8Array(template)), scope).reveal()
    expect(Buffer.from(result)).toEqual(Buffer.concat([bytes, utf8('t1'), bytes]))
  })
})

describe('TP3: a template that is none', () => {
  test.each([
    ['a\nb{{.Service.Name', 'template: expansion:2: unclosed action'],
    ['{{nosuch "a"}}', 'template: expansion:1: function "nosuch" not defined'],
    ['{{secret "a" "b"}}', 'template: expansion:1: wrong number of args for secret'],
    ['{{}}', 'template: expansion:1: missing value for command'],
    ['{{"a" "b"}}', "template: expansion:1: can't give argument to non-function"],
    ['{{(secret "a"}}', 'template: expansion:1: unclosed left paren'],
    ['{{"a}}', 'template: expansion:1: unclosed action'],
    ['{{/* a', 'template: expansion:1: unclosed comment'],
    ['{{if .Task.ID}}', 'template: expansion:1: unexpected {{if}}: it is not supported'],
    [
      '\n\n{{.Service.Nosuch}}',
      'template: expansion:3: executing "expansion" at <.Service.Nosuch>: there is no Nosuch',
    ],
    [
      '{{secret "nosuch"}}',
      'template: expansion:1: executing "expansion" at <secret>: error calling secret: secret target not found',
    ],
    ['{{config "a"}}', 'template: expansion:1: function "config" not defined'],
    [
      '{{secret .Service.Labels}}',
      'template: expansion:1: wrong type for value in secret; expected string',
    ],
  ])('%j is refused with %j', (template, message) => {
    expect(fault(() => expanded(template))).toBe(message)
  })

  test('TP4: never has a text of its own in the refusal', () => {
    const canary = 'cnry7h3kq2vx9m4tz8wn5bpd6gjr0fsl'
    for (const template of [
      `{{secret "${canary} ?"}}`,
      `{{"${canary}" "x"}}`,
      `{{"${canary}`,
      `${canary}{{nosuch}}`,
    ]) {
      expect(fault(() => expanded(template))).toMatch(/^template: /)
      expect(fault(() => expanded(template))).not.toContain(canary)
    }
  })

  test('TP5: is not let grow', () => {
    const many = '{{secret "db"}}'.repeat(1000)
    expect(fault(() => expand(new Redacted(utf8(many)), scope, 5999))).toContain('larger than 5999')
    const joined = `{{join "" ${'(secret "db") '.repeat(1000)}}}`
    expect(fault(() => expand(new Redacted(utf8(joined)), scope, 5999))).toContain('larger')
    expect(expand(new Redacted(utf8(many)), scope, 6000).reveal()).toHaveLength(6000)
  })
})

test('TP6: what is no secret is expanded as text, where it is no template stays itself', () => {
  expect(expandText('{{.Service.Name}}-{{.Task.Slot}}', scope)).toBe('web-1')
  expect(expandText('a } b', scope)).toBe('a } b')
})
