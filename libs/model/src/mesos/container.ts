import { Labels } from './labels.ts'
import {
  boolean,
  enumeration,
  map,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Secret } from './secret.ts'

/*
 * Containers, images and volumes. Source: mesos.md §2. `Image.Docker.credential` is not here on
 * purpose: it is deprecated, unused, and a secret in plain text; unread is the safest it can be.
 */

export const DockerImage = message('Image.Docker', {
  name: required(text),
  config: optional(Secret),
})

export const Image = message('Image', {
  type: required(enumeration('APPC', 'DOCKER')),
  appc: optional(
    message('Image.Appc', { name: required(text), id: optional(text), labels: optional(Labels) }),
  ),
  docker: optional(DockerImage),
  cached: optional(boolean, true),
})
export type Image = Infer<typeof Image>

const StaticProvisioning = message('Volume.Source.CSIVolume.StaticProvisioning', {
  volume_id: required(text),
  volume_capability: required(message('VolumeCapability', {})),
  readonly: optional(boolean),
  node_stage_secrets: optional(map(Secret)),
  node_publish_secrets: optional(map(Secret)),
  volume_context: optional(map(text)),
})

const Parameter = message('Parameter', { key: required(text), value: required(text) })
const Parameters = message('Parameters', { parameter: repeated(Parameter) })

export const VolumeSource = message('Volume.Source', {
  type: optional(
    enumeration('UNKNOWN', 'DOCKER_VOLUME', 'SANDBOX_PATH', 'SECRET', 'HOST_PATH', 'CSI_VOLUME'),
  ),
  docker_volume: optional(
    message('Volume.Source.DockerVolume', {
      driver: optional(text),
      name: required(text),
      driver_options: optional(Parameters),
    }),
  ),
  host_path: optional(
    message('Volume.Source.HostPath', {
      path: required(text),
      mount_propagation: optional(
        message('MountPropagation', {
          mode: optional(enumeration('UNKNOWN', 'HOST_TO_CONTAINER', 'BIDIRECTIONAL')),
        }),
      ),
    }),
  ),
  sandbox_path: optional(
    message('Volume.Source.SandboxPath', {
      type: optional(enumeration('UNKNOWN', 'SELF', 'PARENT')),
      path: required(text),
    }),
  ),
  secret: optional(Secret),
  csi_volume: optional(
    message('Volume.Source.CSIVolume', {
      plugin_name: required(text),
      static_provisioning: optional(StaticProvisioning),
    }),
  ),
})
export type VolumeSource = Infer<typeof VolumeSource>

/**
 * What a SECRET volume's file is like. Ours: protobuf has no such field, and Mesos' files are as its
 * isolator makes them.
 */
export const VolumeFile = message('Volume.File', {
  /** Permission bits. */
  mode: required(uint),
  uid: required(uint),
  gid: required(uint),
  /** What a face that tells secrets and configs apart calls it, and by which name templates ask for it. */
  object: optional(enumeration('SECRET', 'CONFIG')),
  target: optional(text),
  /** The language of its template, such as `golang`: then the secret is expanded before it is placed. */
  template: optional(text),
  /** What a face that has ids of its own calls the secret, for words that its users know. */
  object_id: optional(text),
})
export type VolumeFile = Infer<typeof VolumeFile>

export const Volume = message('Volume', {
  mode: required(enumeration('RW', 'RO')),
  container_path: required(text),
  host_path: optional(text),
  image: optional(Image),
  source: optional(VolumeSource),
  file: optional(VolumeFile),
})
export type Volume = Infer<typeof Volume>

export const DockerInfo = message('ContainerInfo.DockerInfo', {
  image: required(text),
  network: optional(enumeration('HOST', 'BRIDGE', 'NONE', 'USER'), 'HOST'),
  port_mappings: repeated(
    message('PortMapping', {
      host_port: required(uint),
      container_port: required(uint),
      protocol: optional(text),
    }),
  ),
  privileged: optional(boolean, false),
  parameters: repeated(Parameter),
  force_pull_image: optional(boolean),
  volume_driver: optional(text),
})
export type DockerInfo = Infer<typeof DockerInfo>

export const NetworkInfo = message('NetworkInfo', {
  ip_addresses: repeated(
    message('NetworkInfo.IPAddress', {
      protocol: optional(enumeration('IPv4', 'IPv6'), 'IPv4'),
      ip_address: optional(text),
    }),
  ),
  name: optional(text),
  groups: repeated(text),
  labels: optional(Labels),
  port_mappings: repeated(
    message('NetworkInfo.PortMapping', {
      host_port: required(uint),
      container_port: required(uint),
      protocol: optional(text),
    }),
  ),
})
export type NetworkInfo = Infer<typeof NetworkInfo>

/**
 * The service that a container is of, where variables, the hostname and files may be templates. Ours, as
 * {@link VolumeFile} is. Without it nothing is expanded.
 */
export const ContainerService = message('ContainerInfo.Service', {
  id: required(text),
  name: required(text),
  labels: optional(map(text)),
  /** Of its program, and of those that are run beside it: in the place of the image's. */
  workdir: optional(text),
  /** What asks its program to end; SIGTERM if nothing is said. */
  stop_signal: optional(text),
  /** Its program reads what is written to it, rather than nothing. A terminal is always read. */
  open_stdin: optional(boolean),
  /** Where one of its tasks is, which the master says when it is launched. */
  place: optional(
    message('ContainerInfo.Service.Place', {
      task_id: required(text),
      slot: required(text),
      node_id: required(text),
      hostname: required(text),
      os: required(text),
      arch: required(text),
    }),
  ),
})
export type ContainerService = Infer<typeof ContainerService>

export const ContainerInfo = message('ContainerInfo', {
  type: required(enumeration('DOCKER', 'MESOS')),
  volumes: repeated(Volume),
  hostname: optional(text),
  docker: optional(DockerInfo),
  mesos: optional(message('ContainerInfo.MesosInfo', { image: optional(Image) })),
  network_infos: repeated(NetworkInfo),
  linux_info: optional(
    message('LinuxInfo', {
      share_pid_namespace: optional(boolean),
      share_cgroups: optional(boolean, true),
    }),
  ),
  rlimit_info: optional(
    message('RLimitInfo', {
      rlimits: repeated(
        message('RLimitInfo.RLimit', {
          type: optional(
            enumeration(
              'UNKNOWN',
              'RLMT_AS',
              'RLMT_CORE',
              'RLMT_CPU',
              'RLMT_DATA',
              'RLMT_FSIZE',
              'RLMT_LOCKS',
              'RLMT_MEMLOCK',
              'RLMT_MSGQUEUE',
              'RLMT_NICE',
              'RLMT_NOFILE',
              'RLMT_NPROC',
              'RLMT_RSS',
              'RLMT_RTPRIO',
              'RLMT_RTTIME',
              'RLMT_SIGPENDING',
              'RLMT_STACK',
            ),
          ),
          hard: optional(uint),
          soft: optional(uint),
        }),
      ),
    }),
  ),
  tty_info: optional(
    message('TTYInfo', {
      window_size: optional(
        message('TTYInfo.WindowSize', { rows: required(uint), columns: required(uint) }),
      ),
    }),
  ),
  service: optional(ContainerService),
})
export type ContainerInfo = Infer<typeof ContainerInfo>
