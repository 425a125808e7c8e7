import type { LightMyRequestResponse } from 'fastify'
import { base64, type Front } from './front.ts'

/** A spec as `docker service create` sends it. Source: docker-swarm.md objects.json. */
export const sentSpec = (name: string, more: object = {}, container: object = {}): object => ({
  Name: name,
  Labels: {},
  TaskTemplate: {
    ContainerSpec: {
      Image: 'eon01/infinite:latest',
      Init: false,
      DNSConfig: {},
      ...container,
    },
    Resources: { Limits: {}, Reservations: {} },
    Placement: {},
    ForceUpdate: 0,
  },
  Mode: { Replicated: {} },
  EndpointSpec: { Mode: 'vip' },
  ...more,
})

export const secretReference = (id: string, name: string, target = name): object => ({
  File: { Name: target, UID: '0', GID: '0', Mode: 0o444 },
  SecretID: id,
  SecretName: name,
})

export interface ServiceShown {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: Record<string, never>
  readonly UpdateStatus?: { readonly State: string; readonly Message: string }
}

export interface TaskShown {
  readonly ID: string
  readonly Slot?: number
  readonly NodeID?: string
  readonly ServiceID: string
  readonly DesiredState: string
  readonly Spec: Record<string, never>
  readonly Status: {
    readonly State: string
    readonly Message: string
    readonly Err?: string
    readonly ContainerStatus?: { readonly ContainerID: string; readonly ExitCode: number }
  }
}

/** What a test asks of services, through the face. */
export class Services {
  readonly #front: Front

  constructor(front: Front) {
    this.#front = front
  }

  async secret(name: string, text = 'value'): Promise<string> {
    const body = { Name: name, Labels: {}, Data: base64(text) }
    const answer = await this.#front.ask('POST', '/secrets/create', body)
    return answer.json<{ ID: string }>().ID
  }

  async create(spec: object): Promise<string> {
    const answer = await this.#front.ask('POST', '/services/create', spec)
    if (answer.statusCode !== 201) throw new Error(answer.body)
    return answer.json<{ ID: string }>().ID
  }

  async get(id: string, query = ''): Promise<ServiceShown> {
    return (await this.#front.ask('GET', `/services/${id}${query}`)).json<ServiceShown>()
  }

  async update(id: string, spec: object, more = ''): Promise<LightMyRequestResponse> {
    const { Version } = await this.get(id)
    const path = `/services/${id}/update?version=${Version.Index}${more}`
    return this.#front.ask('POST', path, spec)
  }

  async tasks(filters: object = {}): Promise<readonly TaskShown[]> {
    const query = encodeURIComponent(JSON.stringify(filters))
    return (await this.#front.ask('GET', `/tasks?filters=${query}`)).json<TaskShown[]>()
  }
}
