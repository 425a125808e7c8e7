import { ImageBudget } from '@conclave/image-puller'
import { ConclaveError, utf8, utf8Text } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { zipEntries } from './zip.ts'

/** What Info-ZIP 3.0 made of a directory with a file that packs well, a program, and a link. */
const infoZip =
  'UEsDBAoAAAAAAJSZel0AAAAAAAAAAAAAAAAGAAAAbW9kZWwvUEsDBBQAAAAIAKiZel0uT3SIDwAAAOABAAARAAAAbW9kZWwvd2VpZ2h0cy50eHQz0DNUMNAz4jIYpYclDQBQSwMECgAAAAAAlJl6XeUuvZQLAAAACwAAAAoAAABtb2RlbC9saW5rd2VpZ2h0cy50eHRQSwMECgAAAAAAlJl6XQAAAAAAAAAAAAAAAAoAAABtb2RlbC9zdWIvUEsDBAoAAAAAAJSZel0dnfsECgAAAAoAAAANAAAAbW9kZWwvc3ViL3J1biMhL2Jpbi9zaApQSwECHgMKAAAAAACUmXpdAAAAAAAAAAAAAAAABgAAAAAAAAAAABAA7UEAAAAAbW9kZWwvUEsBAh4DFAAAAAgAqJl6XS5PdIgPAAAA4AEAABEAAAAAAAAAAQAAAKSBJAAAAG1vZGVsL3dlaWdodHMudHh0UEsBAh4DCgAAAAAAlJl6XeUuvZQLAAAACwAAAAoAAAAAAAAAAAAAAP+hYgAAAG1vZGVsL2xpbmtQSwECHgMKAAAAAACUmXpdAAAAAAAAAAAAAAAACgAAAAAAAAAAABAA7UGVAAAAbW9kZWwvc3ViL1BLAQIeAwoAAAAAAJSZel0dnfsECgAAAAoAAAANAAAAAAAAAAEAAADtgb0AAABtb2RlbC9zdWIvcnVuUEsFBgAAAAAFAAUAHgEAAPIAAAAAAA=='
/** The program alone, with a password. */
const encrypted =
  'UEsDBAoACQAAAJSZel0dnfsEFgAAAAoAAAANAAAAbW9kZWwvc3ViL3J1bo2YBXm5m8bcDwqj7zjJrToeCKYK70tQSwcIHZ37BBYAAAAKAAAAUEsBAh4DCgAJAAAAlJl6XR2d+wQWAAAACgAAAA0AAAAAAAAAAAAAAO2BAAAAAG1vZGVsL3N1Yi9ydW5QSwUGAAAAAAEAAQA7AAAAUQAAAAAA'

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'))

const budget = (unpackedSizeBytesMax = 1_000_000, entriesMax = 100): ImageBudget =>
  new ImageBudget({ packedSizeBytesMax: 1_000_000, unpackedSizeBytesMax, entriesMax })

/** The archive with other bytes at some places, from its end where they are negative. */
function changed(at: number, ...bytes: readonly number[]): Uint8Array {
  const archive = bytesOf(infoZip)
  archive.set(bytes, at < 0 ? archive.length + at : at)
  return archive
}

/** Where the directory has its entry of the file that packs well. */
const weights = Buffer.from(bytesOf(infoZip)).lastIndexOf('model/weights.txt') - 46

function failureOf(archive: Uint8Array): unknown {
  try {
    zipEntries(archive, budget())
    return undefined
  } catch (error) {
    return error
  }
}

describe('UF5: a zip archive', () => {
  test('is unpacked with its modes and links', () => {
    const entries = zipEntries(bytesOf(infoZip), budget())
    const shown = entries.map((entry) => [
      entry.kind,
      entry.path,
      'mode' in entry ? entry.mode.toString(8) : '',
      entry.kind === 'file' ? utf8Text(entry.bytes) : 'target' in entry ? entry.target : '',
    ])

    expect(shown.toSorted((a, b) => ((a[1] ?? '') < (b[1] ?? '') ? -1 : 1))).toEqual([
      ['directory', 'model/', '755', ''],
      ['symlink', 'model/link', '777', 'weights.txt'],
      ['directory', 'model/sub/', '755', ''],
      ['file', 'model/sub/run', '755', '#!/bin/sh\n'],
      ['file', 'model/weights.txt', '644', '0.1 0.2\n'.repeat(60)],
    ])
  })

  test.each([
    ['is none', utf8('a text that is long enough to have an end'), 'it is no zip archive'],
    ['is empty', new Uint8Array(), 'it is no zip archive'],
    ['is encrypted', bytesOf(encrypted), 'an entry is encrypted'],
    ['has another method', changed(weights + 10, 12), 'an entry is packed by method 12'],
    ['is damaged', changed(weights + 16, 1), 'an entry is damaged'],
    ['says a wrong size', changed(weights + 24, 1, 0, 0, 0), 'an entry is damaged'],
    [
      'is of the 64-bit form',
      changed(weights + 24, 255, 255, 255, 255),
      'it is of the 64-bit form',
    ],
    ['has a device', changed(weights + 41, 0o20), 'an entry is neither a file'],
    ['leads elsewhere', changed(-6, 1), 'its directory leads elsewhere'],
    ['leads beyond its end', changed(-6, 255, 255, 255), 'it is cut short'],
    [
      'has a name of other letters',
      changed(weights + 46, 0xff),
      'the name of an entry is not UTF-8',
    ],
  ])('that %s is refused', (_, archive, why) => {
    expect(() => zipEntries(archive, budget())).toThrow(`it cannot be unpacked: ${why}`)
  })

  test('UF6: of more files or bytes than it may have is refused before they are unpacked', () => {
    expect(() => zipEntries(bytesOf(infoZip), budget(400))).toThrow('more than 400 bytes')
    expect(() => zipEntries(bytesOf(infoZip), budget(1000, 3))).toThrow('more than 3 files')
  })

  test('of any bytes is unpacked or refused in words of ours', () => {
    const length = bytesOf(infoZip).length
    const change = fc.tuple(fc.nat({ max: length - 1 }), fc.nat({ max: 255 }))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const archive = bytesOf(infoZip)
        for (const [at, byte] of changes) archive[at] = byte
        expect(failureOf(archive)).toSatisfy(
          (failure) => failure === undefined || failure instanceof ConclaveError,
        )
      }),
      { numRuns: 2000 },
    )
  })
})
