import type { Plan, PlannedSecret } from '@conclave/isolators'
import type { PlacedSecret } from './agent-task.ts'

/** What of the resolved secrets the plan really places: an overridden variable is not among it. */
export function placedIn(
  secrets: readonly PlannedSecret[],
  values: readonly { readonly path: string; readonly bytes: object }[],
  plan: Plan,
): readonly PlacedSecret[] {
  const kept = new Set(
    plan.flatMap((step): object[] => {
      if (step.do === 'write-file') return [step.bytes]
      return step.do === 'set-env' && typeof step.value !== 'string' ? [step.value] : []
    }),
  )
  return secrets.flatMap(({ placement }, index) => {
    const value = values[index]
    if (value === undefined) return []
    if (placement.where === 'image' || placement.where === 'uri') return []
    return kept.has(value.bytes) ? [{ path: value.path, ...placement }] : []
  })
}
