import type { ByteString } from '../../byte-string.ts'

/** A place a value can be put into. */
export type Place =
  | { readonly type: 'variable'; readonly name: string }
  | { readonly type: 'element'; readonly name: string; readonly keys: readonly Expression[] }
  | { readonly type: 'field'; readonly index: Expression }

export type Expression =
  | Place
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'string'; readonly text: ByteString }
  /** By itself a match against `$0`; behind `~` and in functions a pattern. */
  | { readonly type: 'regex'; readonly text: ByteString }
  | { readonly type: 'assign'; readonly place: Place; readonly value: Expression }
  | {
      readonly type: 'update'
      readonly place: Place
      readonly operator: string
      readonly value: Expression
    }
  | {
      readonly type: 'step'
      readonly place: Place
      readonly by: 1 | -1
      readonly isPrefix: boolean
    }
  | {
      readonly type: 'binary'
      readonly operator: string
      readonly left: Expression
      readonly right: Expression
    }
  | {
      readonly type: 'logical'
      readonly operator: '&&' | '||'
      readonly left: Expression
      readonly right: Expression
    }
  | { readonly type: 'unary'; readonly operator: string; readonly operand: Expression }
  | {
      readonly type: 'match'
      readonly isNegated: boolean
      readonly text: Expression
      readonly pattern: Expression
    }
  | { readonly type: 'in'; readonly keys: readonly Expression[]; readonly name: string }
  | {
      readonly type: 'choice'
      readonly test: Expression
      readonly yes: Expression
      readonly no: Expression
    }
  | { readonly type: 'group'; readonly inner: Expression }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly type: 'builtin'; readonly name: string; readonly args: readonly Expression[] }
  | {
      readonly type: 'getline'
      readonly place: Place | undefined
      readonly path: Expression | undefined
    }

export type Statement =
  | { readonly type: 'block'; readonly body: readonly Statement[] }
  | { readonly type: 'expression'; readonly value: Expression }
  | {
      readonly type: 'print' | 'printf'
      readonly args: readonly Expression[]
      readonly path: Expression | undefined
      readonly isAppended: boolean
    }
  | {
      readonly type: 'if'
      readonly test: Expression
      readonly yes: Statement
      readonly no: Statement | undefined
    }
  | { readonly type: 'while'; readonly test: Expression; readonly body: Statement }
  | { readonly type: 'do'; readonly test: Expression; readonly body: Statement }
  | {
      readonly type: 'for'
      readonly first: Statement | undefined
      readonly test: Expression | undefined
      readonly step: Statement | undefined
      readonly body: Statement
    }
  | {
      readonly type: 'for-in'
      readonly variable: string
      readonly name: string
      readonly body: Statement
    }
  | {
      readonly type: 'delete'
      readonly name: string
      readonly keys: readonly Expression[] | undefined
    }
  | { readonly type: 'leave'; readonly how: 'next' | 'nextfile' | 'break' | 'continue' }
  | { readonly type: 'exit' | 'return'; readonly value: Expression | undefined }

export interface Rule {
  readonly type: 'begin' | 'end' | 'main'
  readonly from: Expression | undefined
  /** The other end of a range pattern. */
  readonly to: Expression | undefined
  /** Without a body the record is printed. */
  readonly body: Statement | undefined
}

export interface AwkFunction {
  readonly name: string
  readonly parameters: readonly string[]
  readonly body: Statement
}

export interface Script {
  readonly rules: readonly Rule[]
  readonly functions: ReadonlyMap<string, AwkFunction>
}
