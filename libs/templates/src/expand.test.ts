import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import {
  expand,
  expandText,
  Steps,
  TemplateFunctionFailed,
  type Fields,
  type Scope,
} from './expand.ts'
import { TemplateInvalid } from './template-invalid.ts'

const secrets: Readonly<Record<string, string>> = { db: 's3cr3t', 'my secret': 'x' }

const Platform = { Architecture: 'x86_64', OS: 'linux' }
const Service = { ID: 'svc1', Name: 'web', Labels: { tier: 'front', 'a.b': 'c' } }
const Node = { ID: 'n1', Hostname: 'laptop', Platform }
const Task = { ID: 't1', Name: 'web.1.t1', Slot: '1' }
const fields = { Service, Node, Task }

const scope: Scope = {
  fields,
  structures: new Map<Fields, string>([
    [fields, '*template.PayloadContext'],
    [Service, 'struct { ID string; Name string; Labels map[string]string }'],
    [Platform, 'template.Platform'],
    [Task, 'struct { ID string; Name string; Slot string }'],
  ]),
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
    ['{{if eq .Service.Name "web"}}yes{{else}}no{{end}}', 'yes'],
    ['{{if ne .Service.Name "web"}}a{{else if .Task.ID}}b{{else}}c{{end}}', 'b'],
    ['{{if ""}}a{{else if 0}}b{{else if false}}c{{else}}d{{end}}', 'd'],
    ['{{if index .Service.Labels "nosuch"}}a{{end}}.', '.'],
    [
      '{{with .Node.Platform}}{{.OS}}/{{.Architecture}} of {{$.Service.Name}}{{end}}',
      'linux/x86_64 of web',
    ],
    ['{{with index .Service.Labels "nosuch"}}a{{else}}{{.Task.ID}}{{end}}', 't1'],
    ['{{with $tier := .Service.Labels.tier}}[{{$tier}} {{.}}]{{end}}', '[front front]'],
    ['{{range .Service.Labels}}<{{.}}>{{end}}', '<c><front>'],
    ['{{range $key, $value := .Service.Labels}}{{$key}}={{$value}};{{end}}', 'a.b=c;tier=front;'],
    [
      '{{range $key, $value := .Service.Labels}}{{if eq $key "tier"}}{{break}}{{end}}{{.}}{{end}}',
      'c',
    ],
    [
      '{{range $key, $_ := .Service.Labels}}{{if eq $key "a.b"}}{{continue}}{{end}}{{.}}{{end}}',
      'front',
    ],
    ['{{$n := 0}}{{range .Service.Labels}}{{$n = len .}}{{end}}{{$n}}', '5'],
    ['{{$a := "x"}}{{if true}}{{$a := "y"}}{{$a}}{{end}}{{$a}}', 'yx'],
    ['{{eq 1 2 3 1}} {{eq "a" "b"}} {{ne "a" "b"}} {{not ""}}', 'true false true true'],
    ['{{lt 1 2}}{{le 2 2}}{{gt "b" "a"}}{{ge 1 2}}', 'truetruetruefalse'],
    ['{{and 1 "" 2}}|{{or "" "b" (secret "nosuch")}}|{{and 1 2}}', '|b|2'],
    ['{{len "abc"}}{{len .Service.Labels}}', '32'],
    ['{{printf "%s-%s:%d%% %v %t" .Service.Name "a" -5 true false}}', 'web-a:-5% true false'],
    [
      '{{printf "[%5s|%-5s|%05d|%+d|%x|%X]" "ä" "b" -42 7 255 "ab"}}',
      '[    ä|b    |-0042|+7|ff|6162]',
    ],
    ['{{secret "db" | printf "pw=%s"}}', 'pw=s3cr3t'],
    ['{{print 1 2 "a" 3}}|{{println "a" 1}}', '1 2a3|a 1\n'],
    ['{{if and (eq .Node.Platform.OS "linux") (secret "db")}}{{secret "db"}}{{end}}', 's3cr3t'],
    ['a {{- if 1 -}} b {{- end -}} c', 'abc'],
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
    [
      '{{secret "a" "b"}}',
      'template: expansion:1:2: executing "expansion" at <secret>: wrong number of args for secret: want 1 got 2',
    ],
    ['{{}}', 'template: expansion:1: missing value for command'],
    ['{{"a" "b"}}', "template: expansion:1: can't give argument to non-function"],
    ['{{(secret "a"}}', 'template: expansion:1: unclosed left paren'],
    ['{{"a}}', 'template: expansion:1: unclosed action'],
    ['{{/* a', 'template: expansion:1: unclosed comment'],
    ['{{if .Task.ID}}\n', 'template: expansion:2: unexpected EOF'],
    ['{{if}}x{{end}}', 'template: expansion:1: missing value for if'],
    ['a{{end}}', 'template: expansion:1: unexpected {{end}}'],
    ['{{if 1}}{{else}}{{else}}{{end}}', 'template: expansion:1: expected end; found {{else}}'],
    ['{{break}}', 'template: expansion:1: {{break}} outside {{range}}'],
    ['{{define "a"}}{{end}}', 'template: expansion:1: unexpected {{define}}: it is not supported'],
    ['{{$a}}', 'template: expansion:1: undefined variable "$a"'],
    ['{{if 1}}{{$a := 1}}{{end}}{{$a}}', 'template: expansion:1: undefined variable "$a"'],
    ['{{$a = 1}}', 'template: expansion:1: undefined variable "$a"'],
    ['{{$a, $b := 1}}', 'template: expansion:1: too many declarations'],
    ['{{if 0}}{{nosuch}}{{end}}', 'template: expansion:1: function "nosuch" not defined'],
    ['{{nil}}', 'template: expansion:1: nil is not a command'],
    ['{{0x1f}}', 'template: expansion:1: bad number syntax: "0x1f"'],
    ['{{1.5}}', 'template: expansion:1: a field of anything but the context is not supported'],
    ['{{print (if 1)}}', 'template: expansion:1: unexpected <if> in operand'],
    ['{{1 := 2}}', 'template: expansion:1: unexpected ":=" in operand'],
    [
      '{{eq 1 "1"}}',
      'template: expansion:1:2: executing "expansion" at <eq>: error calling eq: incompatible types for comparison',
    ],
    [
      '{{eq .Service .Node}}',
      'template: expansion:1:2: executing "expansion" at <eq .Service .Node>: error calling eq: non-comparable type',
    ],
    [
      '{{lt true false}}',
      'template: expansion:1:2: executing "expansion" at <lt true false>: error calling lt: invalid type for comparison',
    ],
    [
      '{{not 1 2}}',
      'template: expansion:1:2: executing "expansion" at <not>: wrong number of args for not: want 1 got 2',
    ],
    [
      '{{and}}',
      'template: expansion:1:2: executing "expansion" at <and>: wrong number of args for and: want at least 1 got 0',
    ],
    [
      '{{len 3}}',
      'template: expansion:1:2: executing "expansion" at <len 3>: error calling len: len of type int',
    ],
    [
      '{{range .Task.ID}}{{end}}',
      'template: expansion:1:13: executing "expansion" at <.Task.ID>: range can\'t iterate over a string',
    ],
    [
      '{{with .Task}}\n{{.Nosuch}}{{end}}',
      'template: expansion:2:2: executing "expansion" at <.Nosuch>: can\'t evaluate field Nosuch in type struct { ID string; Name string; Slot string }',
    ],
    [
      '{{$t := .Task}}{{$t.Nosuch}}',
      'template: expansion:1:19: executing "expansion" at <$t.Nosuch>: can\'t evaluate field Nosuch in type struct { ID string; Name string; Slot string }',
    ],
    [
      '{{printf "%d" "a"}}',
      'template: expansion:1:2: executing "expansion" at <printf>: error calling printf: printf: %d is not for a string',
    ],
    [
      '{{printf "%s"}}',
      'template: expansion:1:2: executing "expansion" at <printf>: error calling printf: printf: nothing is given for %s',
    ],
    [
      '{{printf "%q" "a"}}',
      'template: expansion:1:2: executing "expansion" at <printf>: error calling printf: printf: %q is not supported',
    ],
    [
      '{{printf "" 1}}',
      'template: expansion:1:2: executing "expansion" at <printf>: error calling printf: printf: more is given than the format says',
    ],
    [
      '\n\n{{.Service.Nosuch}}',
      'template: expansion:3:10: executing "expansion" at <.Service.Nosuch>: can\'t evaluate field Nosuch in type struct { ID string; Name string; Labels map[string]string }',
    ],
    [
      '{{secret "nosuch"}}',
      'template: expansion:1:2: executing "expansion" at <secret "nosuch">: error calling secret: secret target not found',
    ],
    ['{{config "a"}}', 'template: expansion:1: function "config" not defined'],
    [
      '{{secret .Service.Labels}}',
      'template: expansion:1:17: executing "expansion" at <.Service.Labels>: wrong type for value; expected string; got map[string]string',
    ],
    [
      '{{.Nosuch.ID}}',
      'template: expansion:1:9: executing "expansion" at <.Nosuch.ID>: can\'t evaluate field Nosuch in type *template.PayloadContext',
    ],
    [
      '{{.Node.Platform.Nosuch}}',
      'template: expansion:1:7: executing "expansion" at <.Node.Platform.Nosuch>: can\'t evaluate field Nosuch in type template.Platform',
    ],
    [
      'a\n é{{.Task.ID.X}}',
      'template: expansion:2:10: executing "expansion" at <.Task.ID.X>: can\'t evaluate field X in type string',
    ],
    [
      '{{.Service.Labels.nosuch}}',
      'template: expansion:1:10: executing "expansion" at <.Service.Labels.nosuch>: map has no entry for key "nosuch"',
    ],
    [
      '{{- join "," (secret 3) -}}',
      'template: expansion:1:21: executing "expansion" at <3>: expected string; found 3',
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
      `{{len (printf "${canary}" | join "${canary}" 3)}}`,
      `{{printf "%d" "${canary}"}}`,
      `{{"${canary}" | secret 1}}`,
      `{{range "${canary}"}}{{end}}`,
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
    const wide = `{{printf "%s${'%s'.repeat(1000)}" ${'(secret "db") '.repeat(1001)}}}`
    expect(fault(() => expand(new Redacted(utf8(wide)), scope, 5999))).toContain('larger')
    const deep = `${'{{range $.Service.Labels}}'.repeat(40)}${'{{end}}'.repeat(40)}`
    expect(fault(() => expanded(deep))).toContain('more than 100000 steps')
    const Labels = Object.fromEntries(Array.from({ length: 1000 }, (_none, at) => [`l${at}`, 'x']))
    const labelled: Scope = { ...scope, fields: { Labels } }
    for (const inner of ['', '{{break}}']) {
      const empty = `{{range .Labels}}{{range $.Labels}}${inner}{{end}}{{end}}`
      expect(fault(() => expandText(empty, labelled))).toContain('more than 100000 steps')
    }
    const steps = new Steps()
    const once = `${'{{range .Labels}}{{end}}'.repeat(60)}done`
    expect(expandText(once, labelled, steps)).toBe('done')
    expect(fault(() => expandText(once, labelled, steps))).toContain('more than 100000 steps')
    const variable = '{{$a := 1}}'
    expect(expandText(`${variable.repeat(999)}{{$a}}`, scope)).toBe('1')
    expect(fault(() => expandText(variable.repeat(1001), scope))).toContain('too many variables')
    const nested = `${'{{if 1}}'.repeat(200)}${'{{end}}'.repeat(200)}`
    expect(fault(() => expanded(nested))).toBe('template: expansion:1: nested too deep')
  })
})

test('TP6: what is no secret is expanded as text, where it is no template stays itself', () => {
  expect(expandText('{{.Service.Name}}-{{.Task.Slot}}', scope)).toBe('web-1')
  expect(expandText('a } b', scope)).toBe('a } b')
})
