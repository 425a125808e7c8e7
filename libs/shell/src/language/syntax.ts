import type { ByteString } from '../byte-string.ts'
import type { Expression } from './arithmetic.ts'

/** A parsed script, ready to run: our own shape, so that only the parser adapter knows its parser. */
export type List = readonly Statement[]

export interface Statement {
  readonly node: Node
  readonly isBackground: boolean
  /** Counted from 1, as messages and `$LINENO` show it. */
  readonly line: number
  /** The source, which `jobs` prints. */
  readonly text: ByteString
}

export type Node =
  | SimpleCommand
  | {
      readonly type: 'pipeline'
      readonly commands: readonly PipelineMember[]
      readonly isNegated: boolean
    }
  | { readonly type: 'and-or'; readonly first: Node; readonly rest: readonly AndOrMember[] }
  | {
      readonly type: 'if'
      readonly branches: readonly { readonly test: List; readonly body: List }[]
      readonly otherwise: List | undefined
    }
  | {
      readonly type: 'for'
      readonly name: ByteString
      /** Without words it goes over the positional parameters. */
      readonly words: readonly Word[] | undefined
      readonly body: List
    }
  | {
      readonly type: 'arithmetic-for'
      readonly start: Arithmetic | undefined
      readonly test: Arithmetic | undefined
      readonly update: Arithmetic | undefined
      readonly body: List
    }
  | { readonly type: 'while'; readonly isUntil: boolean; readonly test: List; readonly body: List }
  | { readonly type: 'case'; readonly word: Word; readonly items: readonly CaseItem[] }
  | { readonly type: 'subshell'; readonly body: List }
  | { readonly type: 'group'; readonly body: List }
  | {
      readonly type: 'function'
      readonly name: ByteString
      readonly body: Node
      /** Of its source. */
      readonly sizeBytes: number
    }
  | { readonly type: 'test'; readonly expression: TestExpression }
  | { readonly type: 'arithmetic'; readonly expression: Arithmetic }
  | { readonly type: 'redirected'; readonly command: Node; readonly redirects: readonly Redirect[] }

export interface SimpleCommand {
  readonly type: 'simple'
  readonly assignments: readonly Assignment[]
  readonly words: readonly Word[]
  readonly redirects: readonly Redirect[]
}

export interface PipelineMember {
  readonly node: Node
  /** `|&`: standard error goes into the pipe too. */
  readonly pipesErrors: boolean
}

export interface AndOrMember {
  readonly operator: '&&' | '||'
  readonly node: Node
}

export interface CaseItem {
  readonly patterns: readonly Word[]
  readonly body: List
  readonly after: 'stop' | 'fall-through' | 'go-on'
}

export interface Assignment {
  readonly name: ByteString
  readonly value: Word
  readonly isAppend: boolean
}

export type Redirect =
  | {
      readonly type: 'file'
      readonly operator: '<' | '>' | '>>' | '>|' | '<>' | '&>' | '&>>'
      readonly descriptor: number
      readonly target: Word
    }
  | { readonly type: 'duplicate'; readonly descriptor: number; readonly target: Word }
  | { readonly type: 'here'; readonly descriptor: number; readonly body: Word }

export type TestExpression =
  | { readonly type: 'unary'; readonly operator: string; readonly operand: Word }
  | {
      readonly type: 'binary'
      readonly operator: string
      readonly left: Word
      readonly right: Word
    }
  | {
      readonly type: 'logical'
      readonly operator: '&&' | '||'
      readonly operands: readonly TestExpression[]
    }
  | { readonly type: 'not'; readonly operand: TestExpression }

export interface Word {
  readonly parts: readonly Part[]
  /** There when the word is one field of known text: nothing to expand, split or match. */
  readonly constant?: ByteString
}

export type Part =
  /** `isQuoted` text never is a pattern; `isSplit` text (the unquoted word of `${x-a b}`) is split. */
  | {
      readonly kind: 'text'
      readonly value: ByteString
      readonly isQuoted: boolean
      readonly isSplit?: boolean
    }
  /** Pattern characters that were not quoted. */
  | { readonly kind: 'glob'; readonly value: ByteString }
  | { readonly kind: 'tilde'; readonly user: ByteString }
  | ParameterPart
  | { readonly kind: 'command'; readonly list: List; readonly isQuoted: boolean }
  | { readonly kind: 'arithmetic'; readonly expression: Arithmetic; readonly isQuoted: boolean }

export interface ParameterPart {
  readonly kind: 'parameter'
  readonly name: ByteString
  readonly isQuoted: boolean
  readonly operation: ParameterOperation | undefined
}

export type ParameterOperation =
  | {
      readonly type: 'default'
      readonly operator: '-' | '=' | '?' | '+'
      /** With a colon, an empty value counts as none. */
      readonly isColon: boolean
      readonly word: Word
    }
  | {
      readonly type: 'remove'
      readonly side: 'prefix' | 'suffix'
      readonly isLongest: boolean
      readonly pattern: Word
    }
  | {
      readonly type: 'replace'
      readonly which: 'first' | 'all' | 'prefix' | 'suffix'
      readonly pattern: Word
      readonly replacement: Word
    }
  | {
      readonly type: 'slice'
      readonly offset: Arithmetic
      readonly length: Arithmetic | undefined
    }
  | { readonly type: 'length' }
  | { readonly type: 'indirect' }
  | { readonly type: 'case'; readonly operator: '^' | '^^' | ',' | ',,' }

/**
 * An arithmetic expression. Without `$` in it, it is parsed once; otherwise its parts are expanded
 * each time and the resulting text is parsed, because POSIX expands first.
 */
export type Arithmetic =
  | { readonly type: 'parsed'; readonly expression: Expression }
  | { readonly type: 'expanded'; readonly parts: readonly Part[] }
