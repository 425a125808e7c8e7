import { describe, expect, test } from 'vitest'
import { containerIdOf, containerNameOf } from './container-id.ts'

const task = { id: 'evqfo2nlqr9zpdx3ga5ss695g', slot: '1', workloadName: 'my_test_app' }

describe('the container of a task', () => {
  test('has 64 hex digits that follow from the task alone', () => {
    expect(containerIdOf(task)).toMatch(/^[0-9a-f]{64}$/)
    expect(containerIdOf({ ...task })).toBe(containerIdOf(task))
    expect(containerIdOf({ id: 'd75xuouq38zu7yfcgsw5skkc0' })).not.toBe(containerIdOf(task))
  })

  test('is called by service, slot and task, or by its node where each node has one', () => {
    expect(containerNameOf(task)).toBe('my_test_app.1.evqfo2nlqr9zpdx3ga5ss695g')
    const nodeId = 'x0yd9hc54fbdux9sf5fu5pbbu'
    expect(containerNameOf(task, nodeId)).toBe(
      'my_test_app.x0yd9hc54fbdux9sf5fu5pbbu.evqfo2nlqr9zpdx3ga5ss695g',
    )
  })
})
