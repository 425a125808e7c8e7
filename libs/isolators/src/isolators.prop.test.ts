import { posix } from 'node:path'
import { Redacted } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { array, assert, boolean, constantFrom, oneof, property, string, tuple } from 'fast-check'
import { expect, test } from 'vitest'
import { checkContainer, planContainer } from './container.ts'
import type { Plan } from './plan.ts'
import { PlanRefused } from './refusal.ts'
import { sandboxDirectory } from './volume-secret.ts'

const component = oneof(
  constantFrom('..', '.', '', 'a', 'b', '..a', 'proc', 'mnt', 'mesos', 'sandbox', '\0', '~', '$X'),
  string({ maxLength: 8 }),
)
const containerPath = tuple(boolean(), array(component, { maxLength: 6 })).map(
  ([isAbsolute, names]) => (isAbsolute ? '/' : '') + names.join('/'),
)

/** The plan for secret volumes at `paths`, or none when it is refused. */
function planFor(paths: readonly string[]): Plan {
  const secret = { type: 'REFERENCE', reference: { name: 'a' } }
  const source = { type: 'SECRET', secret }
  const volumes = paths.map((container_path) => ({ mode: 'RO', container_path, source }))
  const command = parseOurs(CommandInfo, { value: 'true' })
  const values = paths.map(() => new Redacted(new Uint8Array(1)))
  const surroundings = { owner: { uid: 1, gid: 1 }, environment: new Map<string, string>() }
  try {
    const container = parseOurs(ContainerInfo, { type: 'MESOS', volumes })
    return planContainer(checkContainer(command, container), surroundings, values)
  } catch (error) {
    if (error instanceof PlanRefused) return []
    throw error
  }
}

test('IS6: whatever the paths, files stay in the tmpfs and are seen at paths that go nowhere else', () => {
  const paths = array(containerPath, { minLength: 1, maxLength: 4 })
  let accepted = 0
  assert(
    property(paths, (wanted) => {
      const plan = planFor(wanted)
      accepted += plan.length
      const written = plan.filter((step) => step.do === 'write-file')
      const bound = plan.filter((step) => step.do === 'bind-file')
      const seen = bound.map(({ at }) => at)

      expect([...written, ...bound].every(({ name }) => /^\d+$/.test(name))).toBe(true)
      expect(seen).toEqual(seen.map((at) => posix.normalize(at)))
      expect(seen.filter((at) => !/^\/(?!proc\/|sys\/|dev\/)./.test(at))).toEqual([])
      expect(new Set(seen).size).toBe(seen.length)
      const strays = seen.filter(
        (at, index) =>
          wanted[index]?.startsWith('/') === false && !at.startsWith(`${sandboxDirectory}/`),
      )
      expect(strays).toEqual([])
    }),
    { numRuns: 2000 },
  )
  expect(accepted).toBeGreaterThan(0)
})
