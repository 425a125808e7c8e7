import { familiarName, hub, parseImageName, type ImageName } from './image-name.ts'
import { generic } from './images/generic.ts'
import { nginx } from './images/nginx.ts'
import { postgres } from './images/postgres.ts'
import { redis } from './images/redis.ts'
import { alpine, busybox, infinite } from './images/small.ts'
import type { SimulatedImagesMode } from './modes.ts'
import type { Recipe } from './recipe.ts'
import { makeImage, type SimulatedImage } from './simulated-image.ts'

const recipes: readonly Recipe[] = [alpine, busybox, infinite, nginx, postgres, redis]
const byRepository = new Map(recipes.map((recipe) => [recipe.repository, recipe]))

/** Names that stand for described images, in their order. */
export const knownRepositories: readonly string[] = [...byRepository.keys()]

/** Whether `name` is one of those that are described here, under whatever tag. */
export const isKnown = ({ registry, familiar }: ImageName): boolean =>
  registry === hub && byRepository.has(familiar)

/**
 * The simulated image that a name stands for, or undefined. A name that ends in a digest stands for what
 * has that digest; under `any` it is taken for its repository and tag, whatever digest it ends in.
 *
 * @param name as {@link parseImageName} reads it; one that it does not read stands for nothing
 */
export function simulatedImage(
  name: string | ImageName,
  mode: SimulatedImagesMode,
): SimulatedImage | undefined {
  const parsed = typeof name === 'string' ? parseImageName(name) : name
  if (parsed === undefined || mode === 'off') return undefined
  const tag = parsed.tag ?? 'latest'
  const recipe = isKnown(parsed) ? byRepository.get(parsed.familiar) : undefined
  if (mode === 'any') return made(recipe ?? generic(parsed.familiar), tag)
  if (recipe === undefined) return undefined
  const image = made(recipe, tag)
  return parsed.digest === undefined || parsed.digest === image.digest ? image : undefined
}

/** Whether a name ends in the digest of the simulated image that it stands for: then it means no other. */
export function isPinnedToSimulated(name: string, mode: SimulatedImagesMode): boolean {
  const parsed = parseImageName(name)
  return parsed?.digest !== undefined && simulatedImage(parsed, mode)?.digest === parsed.digest
}

/** How the Engine says that there is no such image, with the tag that the name left out. */
export function noSuchImage(name: string): string {
  const parsed = parseImageName(name)
  return `No such image: ${parsed === undefined ? printable(name) : familiarName(parsed)}`
}

const printable = (text: string): string => text.slice(0, 128).replaceAll(/[^\x20-\x7e]/g, '?')

/** As many as a machine would have in use; each is a few kilobytes. */
const madeMax = 256
const madeBefore = new Map<string, SimulatedImage>()

/** Made once, since its digests are of everything in it. */
function made(recipe: Recipe, tag: string): SimulatedImage {
  const key = `${recipe.repository}:${tag}`
  const before = madeBefore.get(key)
  if (before !== undefined) return before
  const image = makeImage(recipe, tag)
  const [oldest] = madeBefore.keys()
  if (madeBefore.size >= madeMax && oldest !== undefined) madeBefore.delete(oldest)
  madeBefore.set(key, image)
  return image
}
