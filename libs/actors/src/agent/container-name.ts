import type { ContainerId } from '@conclave/model'

/*
 * How a nested container is called: `<parent>.<child>`, as Mesos prints it. No id may have a dot.
 */

export const containerName = ({ value, parent }: ContainerId): string =>
  parent === undefined ? value : `${containerName(parent)}.${value}`

export function containerIdOf(name: string): ContainerId {
  const [root = '', ...nested] = name.split('.')
  return nested.reduce<ContainerId>((parent, value) => ({ value, parent }), { value: root })
}

export const rootOf = (name: string): string => name.split('.', 1)[0] ?? name

/** The container right above, unless it is a root. */
export function parentOf(name: string): string | undefined {
  const end = name.lastIndexOf('.')
  return end < 0 ? undefined : name.slice(0, end)
}
