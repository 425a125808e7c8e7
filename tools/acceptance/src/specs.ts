/** A secret as a spec names it: by reference, with the member of a JSON object if one is meant. */
export const reference = (name: string, key?: string): object => ({
  type: 'REFERENCE',
  reference: { name, ...(key !== undefined && { key }) },
})

/** A secret that stands in the spec itself. */
export const inline = (value: string | Uint8Array): object => ({
  type: 'VALUE',
  value: { data: Buffer.from(value).toString('base64') },
})

export const variable = (name: string, secret: object): object => ({ name, type: 'SECRET', secret })

export const volume = (containerPath: string, secret: object): object => ({
  mode: 'RO',
  container_path: containerPath,
  source: { type: 'SECRET', secret },
})

const scalar = (name: string, value: number): object => ({
  name,
  type: 'SCALAR',
  scalar: { value },
})

export const resources = [scalar('cpus', 0.1), scalar('mem', 32)]

/** A small task that runs a shell command. */
export function taskSpec(
  name: string,
  command: string,
  has: { readonly variables?: readonly object[]; readonly volumes?: readonly object[] } = {},
): object {
  return {
    name,
    resources,
    command: {
      shell: true,
      value: command,
      environment: { variables: has.variables ?? [] },
    },
    container: { type: 'MESOS', volumes: has.volumes ?? [] },
  }
}

/** Runs until it is told to end. */
export const untilTerm = 'trap "exit 0" TERM; while true; do sleep 1; done'
