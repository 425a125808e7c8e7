import { z } from 'zod'

/*
 * A ServiceSpec as clients write it: what is looked at here, and all the rest as it came. Null is unset, as in
 * Go. Times are nanoseconds. Source: docker-swarm.md objects.json.
 */

const text = z.string().nullish()
const texts = z.array(z.string()).nullish()
const integer = z.int().nullish()
/** In Go a number of 64 bits, of which the upper half is what SwarmKit calls negative. */
const count = z.number().refine(Number.isInteger).nullish()
const labels = z.record(z.string(), z.string()).nullish()

const File = z.looseObject({ Name: text, UID: text, GID: text, Mode: z.int().min(0).nullish() })

const SecretReference = z.looseObject({
  File: File.nullish(),
  SecretID: text,
  SecretName: text,
})

const ConfigReference = z.looseObject({
  File: File.nullish(),
  ConfigID: text,
  ConfigName: text,
})

const Healthcheck = z.looseObject({
  Test: texts,
  Interval: integer,
  Timeout: integer,
  StartPeriod: integer,
  StartInterval: integer,
  Retries: integer,
})
export type Healthcheck = z.infer<typeof Healthcheck>

export const ContainerSpec = z.looseObject({
  Image: text,
  Labels: labels,
  Command: texts,
  Args: texts,
  Hostname: text,
  Env: texts,
  Dir: text,
  User: text,
  TTY: z.boolean().nullish(),
  OpenStdin: z.boolean().nullish(),
  Isolation: text,
  Mounts: z.array(z.looseObject({ Type: text, Source: text, Target: text })).nullish(),
  StopSignal: text,
  StopGracePeriod: integer,
  Healthcheck: Healthcheck.nullish(),
  Secrets: z.array(SecretReference).nullish(),
  Configs: z.array(ConfigReference).nullish(),
  Privileges: z
    .looseObject({
      CredentialSpec: z.looseObject({ Config: text, File: text, Registry: text }).nullish(),
    })
    .nullish(),
})
export type ContainerSpec = z.infer<typeof ContainerSpec>

const Amounts = z.looseObject({ NanoCPUs: integer, MemoryBytes: integer })
export type Amounts = z.infer<typeof Amounts>

const Network = z.looseObject({ Target: text, Aliases: texts })

const RestartPolicy = z.looseObject({
  Condition: text,
  Delay: integer,
  MaxAttempts: integer,
  Window: integer,
})

const Placement = z.looseObject({
  Constraints: texts,
  Preferences: z
    .array(z.looseObject({ Spread: z.looseObject({ SpreadDescriptor: text }).nullish() }))
    .nullish(),
  MaxReplicas: integer,
})

export const TaskTemplate = z.looseObject({
  ContainerSpec: ContainerSpec.nullish(),
  PluginSpec: z.looseObject({}).nullish(),
  NetworkAttachmentSpec: z.looseObject({}).nullish(),
  Resources: z
    .looseObject({ Limits: Amounts.nullish(), Reservations: Amounts.nullish() })
    .nullish(),
  RestartPolicy: RestartPolicy.nullish(),
  Placement: Placement.nullish(),
  Networks: z.array(Network).nullish(),
  ForceUpdate: integer,
  Runtime: text,
})
export type TaskTemplate = z.infer<typeof TaskTemplate>

const UpdateConfig = z.looseObject({
  Parallelism: integer,
  Delay: integer,
  FailureAction: text,
  Monitor: integer,
  MaxFailureRatio: z.number().nullish(),
  Order: text,
})
export type UpdateConfig = z.infer<typeof UpdateConfig>

const Mode = z.looseObject({
  Replicated: z.looseObject({ Replicas: integer }).nullish(),
  Global: z.looseObject({}).nullish(),
  ReplicatedJob: z.looseObject({ MaxConcurrent: count, TotalCompletions: count }).nullish(),
  GlobalJob: z.looseObject({}).nullish(),
})

const Port = z.looseObject({
  Protocol: text,
  TargetPort: integer,
  PublishedPort: integer,
  PublishMode: text,
})
export type Port = z.infer<typeof Port>

export const EndpointSpec = z.looseObject({ Mode: text, Ports: z.array(Port).nullish() })

export const ServiceSpec = z.looseObject({
  Name: text,
  Labels: labels,
  TaskTemplate: TaskTemplate.nullish(),
  Mode: Mode.nullish(),
  UpdateConfig: UpdateConfig.nullish(),
  RollbackConfig: UpdateConfig.nullish(),
  Networks: z.array(Network).nullish(),
  EndpointSpec: EndpointSpec.nullish(),
})
export type ServiceSpec = z.infer<typeof ServiceSpec>

/** What ends well once and is not run on. */
export const isJobSpec = ({ Mode: mode }: ServiceSpec): boolean =>
  Boolean(mode?.ReplicatedJob ?? mode?.GlobalJob)

/** A spec as whoever speaks an API before 1.41 may mean it: jobs came with that, and dockerd passes over them. */
export function withoutJobs(spec: ServiceSpec): ServiceSpec {
  if (!spec.Mode) return spec
  const { ReplicatedJob: _replicated, GlobalJob: _global, ...rest } = spec.Mode
  return { ...spec, Mode: rest }
}
