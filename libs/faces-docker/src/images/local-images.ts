import { hash } from 'node:crypto'
import type { Caller } from '@conclave/actors'
import {
  familiarName,
  knownRepositories,
  parseImageName,
  simulatedImage,
  type ImageName,
  type SimulatedImage,
} from '@conclave/simulated-images'
import { callerOf, hasMaster, simulatedImagesOf, type Engine } from '../engine.ts'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { nobodyRemembers } from '../nobody-remembers.ts'
import { printable } from '../printable.ts'

/*
 * Which images an Engine has that pulls none: those that are described, those that somebody pulled, and those
 * that services run. All of them are simulated: what agents pull from registries of their own is not known
 * to a master.
 */

/** One image, and everything it is called by. */
export interface LocalImage {
  readonly image: SimulatedImage
  /** `redis:7`. */
  readonly tags: readonly string[]
}

/** What is kept of `docker pull`: a name. */
const kind = 'docker-image'
const Kept = z.object({ name: z.string() })

/** The part of a task's spec that names its image. */
const WithImage = z.object({
  container: z.object({
    mesos: z.object({ image: z.object({ docker: z.object({ name: z.string() }) }) }),
  }),
})

interface Reference {
  readonly name: string
  readonly why: 'described' | 'kept' | 'used'
}

/** Images of this Engine, in the order of their names. */
export async function localImages(engine: Engine, caller: Caller): Promise<readonly LocalImage[]> {
  const byId = new Map<string, { image: SimulatedImage; tags: Set<string> }>()
  for (const { name } of await references(engine, caller)) {
    const image = simulatedImage(name, simulatedImagesOf(engine))
    if (image === undefined) continue
    const known = byId.get(image.id)
    if (known === undefined) byId.set(image.id, { image, tags: new Set([name]) })
    else known.tags.add(name)
  }
  return [...byId.values()].map(({ image, tags }) => ({ image, tags: [...tags].toSorted() }))
}

/**
 * The image that a client means: by its id, by its name, or by how its id begins.
 *
 * @throws Refusal
 */
export async function findImage(
  engine: Engine,
  request: FastifyRequest,
  asked: string,
  noSuch: (asked: string) => Refusal = noSuchImage,
): Promise<LocalImage> {
  const found = imageNamed(await localImages(engine, callerOf(engine, request)), asked)
  if (found === undefined) throw noSuch(asked)
  return found
}

/** Ids of the images that are here under these names, ids or beginnings of ids. What is not here is none. */
export async function imageIdsNamed(
  engine: Engine,
  caller: Caller,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set()
  const all = await localImages(engine, caller)
  return new Set(
    names.flatMap((asked) => {
      const found = imageNamed(all, asked)
      return found === undefined ? [] : [found.image.id]
    }),
  )
}

function imageNamed(all: readonly LocalImage[], asked: string): LocalImage | undefined {
  const name = parseImageName(asked)
  const byName = all.find(({ image, tags }) => isNamed(name, image, tags))
  const hex = asked.replace(/^sha256:/, '')
  const isId = /^[0-9a-f]{1,64}$/.test(hex)
  const byId = isId ? all.filter(({ image }) => image.id.startsWith(`sha256:${hex}`)) : []
  const [first, second] = byId
  if (first !== undefined && hex.length === 64) return first
  return byName ?? (second === undefined ? first : undefined)
}

function isNamed(
  name: ImageName | undefined,
  image: SimulatedImage,
  tags: readonly string[],
): boolean {
  if (name === undefined) return false
  if (name.digest === undefined) return tags.includes(familiarName(name))
  const isOfRepository = tags.some((tag) => parseImageName(tag)?.familiar === name.familiar)
  return isOfRepository && image.digest === name.digest
}

export function noSuchImage(asked: string): Refusal {
  const name = parseImageName(asked)
  const whole = name === undefined ? printable(asked) : familiarName(name)
  return new Refusal(404, `No such image: ${whole}`)
}

/** Where one is inspected. Source: docker-swarm.md errors.json. */
export function noSuchImageHere(asked: string): Refusal {
  const { message } = noSuchImage(asked)
  return new Refusal(404, `no such image: ${printable(asked)}: ${message}`)
}

/** Remembers that `name` was pulled. @returns whether it was not here before. @throws Refusal */
export async function keepImage(engine: Engine, caller: Caller, name: ImageName): Promise<boolean> {
  const whole = familiarName(name)
  if ((await whyHere(engine, caller, whole)).size > 0) return false
  if (!hasMaster(engine)) throw nobodyRemembers('images that are pulled')
  const id = keptId(whole)
  try {
    await engine.master.documents.create(caller, kind, { id, name: id, body: { name: whole } })
  } catch (error) {
    // Somebody pulled it at the same time.
    if ((error as { code?: unknown }).code !== 'document.exists') throw error
  }
  return true
}

/** Why an image is here under a name: for no reason when it is not. */
export async function whyHere(
  engine: Engine,
  caller: Caller,
  name: string,
): Promise<ReadonlySet<Reference['why']>> {
  const all = await references(engine, caller)
  return new Set(all.filter((one) => one.name === name).map(({ why }) => why))
}

/** Forgets that `name` was pulled. */
export const forgetImage = ({ master }: Engine, caller: Caller, name: string): Promise<void> =>
  master.documents.remove(caller, kind, keptId(name))

/** A document's id and name have no slash, as names of images do. */
const keptId = (name: string): string => hash('sha256', name, 'hex')

async function references(engine: Engine, caller: Caller): Promise<readonly Reference[]> {
  const mode = simulatedImagesOf(engine)
  if (mode === 'off') return []
  const described = knownRepositories.map((repository) => `${repository}:latest`)
  const always = described.map((name) => ({ name, why: 'described' }) as const)
  if (!hasMaster(engine)) return always
  const kept = await engine.master.documents.list(caller, kind)
  const all: readonly Reference[] = [
    ...always,
    ...kept.map(({ body }) => ({ ...Kept.parse(body), why: 'kept' }) as const),
    ...(await usedImages(engine, caller)).map((name) => ({ name, why: 'used' }) as const),
  ]
  return all.toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** What services run, each once, without the digests that they are pinned to. */
async function usedImages({ master }: Engine, caller: Caller): Promise<readonly string[]> {
  const workloads = await master.workloads.list(caller)
  const names = workloads.flatMap(({ spec }) => {
    const template = WithImage.safeParse(spec.template)
    const name = parseImageName(template.data?.container.mesos.image.docker.name ?? '')
    return name?.tag === undefined ? [] : [familiarName(name)]
  })
  return [...new Set(names)]
}
