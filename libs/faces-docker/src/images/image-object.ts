import type { SimulatedImage } from '@conclave/simulated-images'
import { parseImageName } from '@conclave/simulated-images'
import type { LocalImage } from './local-images.ts'

/* Images as the Engine shows them. Source: API 1.47, ImageSummary, ImageInspect and HistoryResponseItem. */

/** Nobody counts them. Source: the Engine's own answer to a list without `shared-size`. */
const notCounted = -1

export const imageSummary = ({ image, tags }: LocalImage): object => ({
  Containers: notCounted,
  Created: secondsOf(image),
  Id: image.id,
  Labels: image.configuration.Labels,
  ParentId: '',
  RepoDigests: digestsOf(image, tags),
  RepoTags: tags,
  SharedSize: notCounted,
  Size: image.root.sizeBytes,
  VirtualSize: image.root.sizeBytes,
})

export const imageInspect = ({ image, tags }: LocalImage): object => ({
  Id: image.id,
  RepoTags: tags,
  RepoDigests: digestsOf(image, tags),
  Parent: '',
  Comment: 'simulated by Conclave',
  Created: image.createdAt,
  DockerVersion: '',
  Author: 'Conclave',
  Config: { Hostname: '', Domainname: '', ...image.configuration },
  Architecture: 'amd64',
  Os: 'linux',
  Size: image.root.sizeBytes,
  VirtualSize: image.root.sizeBytes,
  GraphDriver: { Name: 'conclave', Data: null },
  RootFS: { Type: 'layers', Layers: [image.layerDigest] },
  Metadata: { LastTagTime: image.createdAt },
})

export const imageHistory = ({ image, tags }: LocalImage): readonly object[] => [
  {
    Id: image.id,
    Created: secondsOf(image),
    CreatedBy: 'described by Conclave',
    Tags: tags,
    Size: image.root.sizeBytes,
    Comment: 'simulated: nothing of the real image is in it',
  },
]

const secondsOf = ({ createdAt }: SimulatedImage): number => Date.parse(createdAt) / 1000

/** By digest an image is called as its repositories are. */
const digestsOf = (image: SimulatedImage, tags: readonly string[]): readonly string[] => [
  ...new Set(tags.map((tag) => `${parseImageName(tag)?.familiar ?? tag}@${image.digest}`)),
]
