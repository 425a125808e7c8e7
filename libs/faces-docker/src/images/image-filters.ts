import { parseImageName } from '@conclave/simulated-images'
import {
  demandBoolean,
  isTrue,
  matchesAny,
  matchesLabels,
  parseFilters,
  type Filters,
} from '../filters.ts'
import { matchesGlob } from './glob.ts'
import type { LocalImage } from './local-images.ts'

/* What a list of images may be asked for. Source: API 1.47, ImageList. */

/** @throws Refusal */
export function parseImageFilters(text: string | null): Filters {
  const keys = ['before', 'dangling', 'label', 'reference', 'since', 'until']
  const filters = parseFilters(text, keys)
  demandBoolean(filters, 'dangling')
  return filters
}

export const isImageWanted = ({ image, tags }: LocalImage, filters: Filters): boolean =>
  matchesLabels(filters, 'label', image.configuration.Labels) &&
  // Every image here has a name, and all are equally old.
  matchesAny(filters, 'dangling', (value) => !isTrue(value)) &&
  !filters.has('before') &&
  !filters.has('since') &&
  matchesAny(filters, 'reference', (pattern) => tags.some((tag) => isMeant(tag, pattern)))

/** A pattern is of the whole name, or of the name without its tag. */
const isMeant = (tag: string, pattern: string): boolean =>
  matchesGlob(pattern, tag) || matchesGlob(pattern, parseImageName(tag)?.familiar ?? tag)
