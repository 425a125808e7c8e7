import { ScriptFault } from '../../language/script-fault.ts'

/** What `+ - * / % ^` make of two numbers. */
export function calculate(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '^':
      return left ** right
    default:
      if (right === 0)
        throw new ScriptFault(operator === '/' ? 'division by zero' : 'division by zero in %', 2)
      return operator === '/' ? left / right : left % right
  }
}

/** Whether a comparison holds between two values whose order has this sign. */
export function holds(operator: string, order: number): boolean {
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    case '!=':
      return order !== 0
    default:
      return order === 0
  }
}
