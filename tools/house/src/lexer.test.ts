import { describe, expect, test } from 'vitest'
import { codeOnly, withoutComments } from './lexer.ts'

describe('what is code', () => {
  test.each([
    ['a // b', 'a'],
    ['a /* b */ c', 'a         c'],
    ['"// no comment" /* x */', '"             "'],
    ["'it\\'s' + b", "'     ' + b"],
    ['`a ${b /* c */} d` e', '`  ${b        }  ` e'],
    ['`${`x${y}`}` z', '`${` ${y}`}` z'],
    ['x = /["\'`]/g; y', 'x = /     /g; y'],
    ['a / b / c // d', 'a / b / c'],
    ['return /a\\/b/.test(x)', 'return /    /.test(x)'],
    ['#!/usr/bin/env node\na', '                   \na'],
  ])('of %j', (source, code) => {
    expect(codeOnly(source).trimEnd()).toBe(code)
  })

  test('keeps strings where only comments go', () => {
    expect(withoutComments("import 'a' // 'b'").trimEnd()).toBe("import 'a'")
  })

  test('keeps every offset', () => {
    const source = 'const a = "b" // c\n`d${e}f` /* g */'
    expect(codeOnly(source)).toHaveLength(source.length)
  })
})
