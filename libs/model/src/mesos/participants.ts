import { Id } from './id.ts'
import { Labels } from './labels.ts'
import {
  boolean,
  double,
  enumeration,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Attribute, Resource } from './resource.ts'

/*
 * Who takes part: masters, agents and frameworks. Source: mesos.md §2.
 */

export const Address = message('Address', {
  hostname: optional(text),
  ip: optional(text),
  port: required(uint),
})

const Zone = message('DomainInfo.FaultDomain.ZoneInfo', { name: required(text) })
const Domain = message('DomainInfo', {
  fault_domain: optional(
    message('DomainInfo.FaultDomain', {
      region: required(Zone),
      zone: required(Zone),
    }),
  ),
})

/** `ip` is an IPv4 address as a number, its first byte in the lowest eight bits. */
export const MasterInfo = message('MasterInfo', {
  id: required(text),
  ip: required(uint),
  port: required(uint),
  pid: optional(text),
  hostname: optional(text),
  version: optional(text),
  address: optional(Address),
  domain: optional(Domain),
  capabilities: repeated(
    message('MasterInfo.Capability', {
      type: optional(enumeration('UNKNOWN', 'AGENT_UPDATE', 'AGENT_DRAINING', 'QUOTA_V2')),
    }),
  ),
})
export type MasterInfo = Infer<typeof MasterInfo>

export const AgentInfo = message('AgentInfo', {
  hostname: required(text),
  port: optional(uint, 5051),
  resources: repeated(Resource),
  attributes: repeated(Attribute),
  id: optional(Id),
  domain: optional(Domain),
})
export type AgentInfo = Infer<typeof AgentInfo>

/**
 * The attribute of an agent that gives values away as Mesos does, for whoever places tasks on it: `true`, as
 * text.
 */
export const leakyAttribute = 'faithful_leaks'

export const isLeaky = ({ attributes }: AgentInfo): boolean =>
  attributes.some(({ name, text: said }) => name === leakyAttribute && said?.value === 'true')

const capabilities = [
  'UNKNOWN',
  'REVOCABLE_RESOURCES',
  'TASK_KILLING_STATE',
  'GPU_RESOURCES',
  'SHARED_RESOURCES',
  'PARTITION_AWARE',
  'MULTI_ROLE',
  'RESERVATION_REFINEMENT',
  'REGION_AWARE',
] as const
export type FrameworkCapability = (typeof capabilities)[number]

/** `role` is deprecated, so its default `*` is not invented. */
export const FrameworkInfo = message('FrameworkInfo', {
  user: required(text),
  name: required(text),
  id: optional(Id),
  failover_timeout: optional(double, 0),
  checkpoint: optional(boolean, false),
  role: optional(text),
  roles: repeated(text),
  hostname: optional(text),
  principal: optional(text),
  webui_url: optional(text),
  capabilities: repeated(
    message('FrameworkInfo.Capability', { type: optional(enumeration(...capabilities)) }),
  ),
  labels: optional(Labels),
})
export type FrameworkInfo = Infer<typeof FrameworkInfo>

export const hasCapability = (info: FrameworkInfo, wanted: FrameworkCapability): boolean =>
  info.capabilities.some(({ type }) => type === wanted)

/** The roles a framework takes offers for: `roles` when it is MULTI_ROLE, else `role`, else `*`. */
export const rolesOf = (info: FrameworkInfo): readonly string[] =>
  hasCapability(info, 'MULTI_ROLE') ? info.roles : [info.role ?? '*']
