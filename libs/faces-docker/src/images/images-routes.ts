import {
  familiarName,
  knownRepositories,
  parseImageName,
  simulatedImage,
  type ImageName,
} from '@conclave/simulated-images'
import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { callerOf, simulatedImagesOf, type Engine } from '../engine.ts'
import { noSuchPage, Refusal } from '../errors.ts'
import { queryOf } from '../query.ts'
import { imageHistory, imageInspect, imageSummary } from './image-object.ts'
import { isImageWanted, parseImageFilters } from './image-filters.ts'
import {
  findImage,
  forgetImage,
  keepImage,
  localImages,
  noSuchImage,
  noSuchImageHere,
  whyHere,
} from './local-images.ts'
import { invalidReference, notSimulated } from './image-refusals.ts'
import { splitEnd } from './path-end.ts'
import { pullStream } from './pull-stream.ts'

interface Whole {
  readonly Params: { readonly '*': string }
}

/**
 * Images, all of them simulated. Names have slashes, so a path is read from its end: `/images/NAME/json`.
 * Source: API 1.47, Image.
 */
export const imagesRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.get('/images/json', async (request, reply) => {
      const filters = parseImageFilters(queryOf(request).get('filters'))
      const all = await localImages(engine, callerOf(engine, request))
      return sendJson(reply, all.filter((one) => isImageWanted(one, filters)).map(imageSummary))
    })

    app.post('/images/create', async (request, reply) => {
      const query = queryOf(request)
      if (query.has('fromSrc')) throw notHere('images are not imported')
      const name = pulledName(query.get('fromImage') ?? '', query.get('tag') ?? '')
      const image = simulatedImage(name, simulatedImagesOf(engine))
      if (image === undefined) throw notSimulated(familiarName(name))
      const isNew = await keepImage(engine, callerOf(engine, request), name)
      return reply
        .header('content-type', 'application/json')
        .send(pullStream(name, image.digest, isNew))
    })

    app.get('/images/search', async (request, reply) => {
      const term = queryOf(request).get('term') ?? ''
      const found = knownRepositories.filter((name) => name.includes(term.toLowerCase()))
      return sendJson(reply, found.map(searchResult))
    })

    app.post('/images/prune', async (_request, reply) =>
      sendJson(reply, { ImagesDeleted: null, SpaceReclaimed: 0 }),
    )
    app.post('/images/load', async () => {
      throw notHere('images are not loaded')
    })

    app.get<Whole>('/images/*', async (request, reply) => {
      const [name, what] = splitEnd(request.params['*'])
      if (what === 'get') throw notHere('there are no archives of images')
      if (what !== 'json' && what !== 'history') throw noSuchPage()
      const noSuch = what === 'json' ? noSuchImageHere : noSuchImage
      const image = await findImage(engine, request, name, noSuch)
      return sendJson(reply, what === 'json' ? imageInspect(image) : imageHistory(image))
    })

    app.post<Whole>('/images/*', async (request) => {
      const [name, what] = splitEnd(request.params['*'])
      if (what !== 'tag' && what !== 'push') throw noSuchPage()
      await findImage(engine, request, name)
      throw notHere(what === 'tag' ? 'images have the names they have' : 'images are not pushed')
    })

    app.delete<Whole>('/images/*', async (request, reply) => {
      const caller = callerOf(engine, request)
      const asked = request.params['*']
      const gone = namesMeant(asked, (await findImage(engine, request, asked)).tags)
      for (const tag of gone) {
        const why = await whyHere(engine, caller, tag)
        if (why.has('used')) throw conflict(tag, 'a service uses it')
        if (why.has('described')) throw conflict(tag, 'it is simulated, and always there')
      }
      for (const tag of gone) await forgetImage(engine, caller, tag)
      return sendJson(
        reply,
        gone.map((Untagged) => ({ Untagged })),
      )
    })
  }

/** By a name that one alone is meant, by an id all names of it. */
function namesMeant(asked: string, tags: readonly string[]): readonly string[] {
  const name = parseImageName(asked)
  const whole = name === undefined ? asked : familiarName(name)
  return tags.includes(whole) ? [whole] : tags
}

/** @throws Refusal */
function pulledName(fromImage: string, tag: string): ImageName {
  const joint = tag.startsWith('sha256:') ? '@' : ':'
  const name = parseImageName(tag === '' ? fromImage : `${fromImage}${joint}${tag}`)
  if (name === undefined) throw invalidReference()
  return name
}

const notHere = (what: string): Refusal =>
  new Refusal(501, `${what} here: this Engine is simulated by Conclave, and so are its images`)

const conflict = (tag: string, why: string): Refusal =>
  new Refusal(409, `conflict: unable to remove repository reference "${tag}" - ${why}`)

const searchResult = (name: string): object => ({
  name,
  description: 'simulated by Conclave',
  star_count: 0,
  is_official: !name.includes('/'),
  is_automated: false,
})
