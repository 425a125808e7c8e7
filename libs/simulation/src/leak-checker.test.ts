import { SimulatedDisk } from '@conclave/journal/testing'
import { utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { Dice } from './dice.ts'
import { LeakChecker } from './leak-checker.ts'
import { World } from './world.ts'

const search = (look: (leaks: LeakChecker) => void): string | undefined => {
  const world = new World()
  look(new LeakChecker(world, new Dice(1, 'canaries')))
  return world.violation?.rule
}
const diskWith = (text: string): SimulatedDisk => {
  const disk = new SimulatedDisk()
  disk.overwrite('/data/x', utf8(text))
  return disk
}

const hex = ({ value }: LeakChecker): string => Buffer.from(value.text).toString('hex')

describe('SI10: a value is found', () => {
  test('in a packet, and its key is not meant to be hidden there', () => {
    expect(search((leaks) => leaks.packet(1, utf8(`a ${leaks.value.text} b`)))).toBe('SI10')
    expect(search((leaks) => leaks.packet(1, utf8(`a ${leaks.key.text} b`)))).toBeUndefined()
  })

  test('on a disk, as its key is', () => {
    expect(search((leaks) => leaks.disk(1, diskWith(leaks.value.text)))).toBe('SI10')
    expect(search((leaks) => leaks.disk(1, diskWith(leaks.key.text)))).toBe('SI10')
    expect(search((leaks) => leaks.disk(1, diskWith('something else')))).toBeUndefined()
  })

  test('on a disk in another form, when that is searched for', () => {
    expect(search((leaks) => leaks.diskInAllForms(1, diskWith(hex(leaks))))).toBe('SI10')
  })

  test('in an event', () => {
    expect(search((leaks) => leaks.event(1, { why: leaks.value.text }))).toBe('SI10')
  })
})
