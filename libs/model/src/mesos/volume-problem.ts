import type { Volume } from './container.ts'

/** What Mesos says of a volume that contradicts itself, or nothing. Source: reference/mesos.md §11. */
export function volumeProblem({ host_path: hostPath, image, source }: Volume): string | undefined {
  const set = [hostPath, image, source].filter((one) => one !== undefined)
  if (set.length !== 1) {
    return "Only one of them should be set: 'host_path', 'image' and 'source'"
  }
  if (source === undefined) return undefined
  switch (source.type) {
    case 'DOCKER_VOLUME':
      return unset(source.docker_volume, "'source.docker_volume'", 'DOCKER_VOLUME')
    case 'HOST_PATH':
      return unset(source.host_path, "'source.host_path'", 'HOST_PATH')
    case 'SANDBOX_PATH':
      return unset(source.sandbox_path, "'source.sandbox_path'", 'SANDBOX_PATH')
    case 'SECRET':
      return unset(source.secret, "'source.secret'", 'SECRET')
    case 'CSI_VOLUME':
      return (
        unset(source.csi_volume, "'source.csi_volume'", 'CSI') ??
        unset(
          source.csi_volume?.static_provisioning,
          "'source.csi_volume.static_provisioning'",
          'CSI',
        )
      )
    case 'UNKNOWN':
    case undefined:
      break
  }
  return "'source.type' is unknown"
}

const unset = (part: unknown, field: string, type: string): string | undefined =>
  part === undefined ? `${field} is not set for ${type} volume` : undefined
