import type { CommandInfo, ContainerInfo } from '@conclave/model'

/*
 * What Mesos' Docker containerizer makes of secrets: nothing, and it says nothing either. Source:
 * reference/mesos.md §16. Only to show why: usually secrets of DOCKER containers are refused.
 */

/** SECRET variables are there, and empty, because only their `value` is read. */
export function withoutSecrets(command: CommandInfo): CommandInfo {
  const variables = (command.environment?.variables ?? []).map((variable) =>
    variable.type === 'SECRET'
      ? { name: variable.name, type: 'VALUE' as const, value: '' }
      : variable,
  )
  return command.environment === undefined ? command : { ...command, environment: { variables } }
}

/** SECRET volumes are left out: `Ignored volume type 'SECRET' for container …`, at verbose level. */
export const withoutSecretVolumes = (container: ContainerInfo): ContainerInfo => ({
  ...container,
  volumes: container.volumes.filter(({ source }) => source?.type !== 'SECRET'),
})
