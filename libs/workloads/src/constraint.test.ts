import { describe, expect, test } from 'vitest'
import { constraintProblem, satisfies, spreadProblem, valueAt } from './constraint.ts'

const node = {
  name: 'agent-1',
  agentId: 'S0',
  hostname: 'Host-A',
  availability: 'active',
  role: 'worker',
  labels: { zone: 'a', 'com.example.rack': 'r1' },
  isConnected: true,
  isLost: false,
  attributes: { disk: 'ssd' },
  platform: { os: 'linux', arch: '' },
} as const

describe('a constraint', () => {
  test.each([
    ['node.hostname == host-a', true],
    ['node.hostname==Host-A', true],
    ['node.hostname != host-a', false],
    ['node.id == agent-1', true],
    ['node.id == S0', true],
    ['node.id != S0', false],
    ['node.role == manager', false],
    ['node.role != manager', true],
    ['node.labels.zone == a', true],
    ['node.labels.com.example.rack == r1', true],
    ['node.labels.nothing == a', false],
    ['node.labels.nothing != a', true],
    ['engine.labels.disk == SSD', true],
    ['node.attributes.disk != ssd', false],
    ['node.platform.os == linux', true],
    ['node.platform.arch == x86_64', false],
  ])('WL1: %s is %s', (text, holds) => {
    expect(constraintProblem(text)).toBeUndefined()
    expect(satisfies(node, [text])).toBe(holds)
  })

  test('WL1: holds with all others or not at all', () => {
    expect(satisfies(node, ['node.role == worker', 'node.labels.zone == b'])).toBe(false)
    expect(satisfies(node, [])).toBe(true)
  })

  test.each([
    'zone == a',
    'node.labels. == a',
    'node.hostname',
    'node.hostname = a',
    'node.ip == 1',
  ])('WL1: %s is none', (text) => {
    expect(constraintProblem(text)).toBeDefined()
  })

  test('a spread is over something that nodes have', () => {
    expect(spreadProblem('node.labels.zone')).toBeUndefined()
    expect(spreadProblem('zone')).toBeDefined()
    expect(valueAt(node, 'node.labels.zone')).toBe('a')
  })
})
