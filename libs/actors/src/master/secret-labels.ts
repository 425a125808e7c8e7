import { ownLabelPrefix } from '@conclave/model'
import { SecretLabelsInvalid } from './errors.ts'

const countMax = 64
const nameLengthMax = 128
/** Of all names and values together, in UTF-8: they are part of every list that the secret is in. */
const bytesMax = 16 * 1024

type Labels = Readonly<Record<string, string>>

/**
 * Whether only an operator may put `after` in the place of `before`: where a driver has the value, labels
 * decide which one it gives away.
 */
export const isForOperators = (before: Labels | undefined, after: Labels | undefined): boolean =>
  after !== undefined && [...ownNames(before), ...ownNames(after)].length > 0

const ownNames = (labels: Labels = {}): readonly string[] =>
  Object.keys(labels).filter((name) => name.startsWith(ownLabelPrefix))

/** @throws SecretLabelsInvalid */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels)
  if (entries.length > countMax) {
    throw new SecretLabelsInvalid(`there are ${entries.length}; a secret has at most ${countMax}`)
  }
  let bytes = 0
  for (const [name, value] of entries) {
    if (name === '' || name.length > nameLengthMax) {
      throw new SecretLabelsInvalid(`a name has 1 to ${nameLengthMax} characters`)
    }
    if (!isPlain(name) || !isPlain(value)) {
      throw new SecretLabelsInvalid('a name or a value has a control character')
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  if (bytes > bytesMax) {
    throw new SecretLabelsInvalid(`they have ${bytes} bytes; all together have at most ${bytesMax}`)
  }
}

const isPlain = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text)
