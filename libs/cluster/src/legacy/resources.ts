import { scalarOf, type Bag } from '../resources.ts'

/** As the endpoints of old show resources: four numbers that are always there, and ranges as text. */
export function resourcesObject(bag: Bag): Readonly<Record<string, number | string>> {
  const always = ['cpus', 'gpus', 'mem', 'disk']
  const names = new Set([...always, ...bag.scalars.keys()])
  return {
    ...Object.fromEntries(Array.from(names, (name) => [name, scalarOf(bag, name)])),
    ...Object.fromEntries(
      Array.from(bag.ranges, ([name, spans]) => [
        name,
        `[${spans.map(([begin, end]) => `${begin}-${end}`).join(', ')}]`,
      ]),
    ),
    ...Object.fromEntries(
      Array.from(bag.sets, ([name, items]) => [name, `{${[...items].join(', ')}}`]),
    ),
  }
}
