import type { SecretMetadata } from '@conclave/model'
import { isAnnotationName } from './names.ts'
import { rfc3339 } from './times.ts'

/*
 * A secret as the Engine shows it. Source: docker-swarm.md A6 and objects.json. What only Docker knows of
 * one is kept among its labels, below names that no client of this face can set.
 */

const templatingLabel = 'conclave.docker/templating'

export interface SecretObject {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Spec: {
    readonly Name: string
    readonly Labels: Readonly<Record<string, string>>
    readonly Templating?: { readonly Name: string }
  }
}

/** The language of the template that a secret or config is, if it is one. */
export const templatingOf = (labels: Readonly<Record<string, string>>): string | undefined =>
  labels[templatingLabel]

/** Whether Docker's clients can name it: secrets in folders are for other faces. */
export const isVisible = ({ path }: SecretMetadata): boolean => isAnnotationName(path)

export function secretObject(metadata: SecretMetadata): SecretObject {
  const { id = '', revision = 0, path, createdAtMs, updatedAtMs } = metadata
  const templating = templatingOf(metadata.labels)
  return {
    ID: id,
    Version: { Index: revision },
    CreatedAt: rfc3339(createdAtMs),
    UpdatedAt: rfc3339(updatedAtMs),
    Spec: {
      Name: path,
      Labels: shownLabels(metadata.labels),
      ...(templating === undefined ? {} : { Templating: { Name: templating } }),
    },
  }
}

const isOurs = (name: string): boolean => name.startsWith('conclave.docker/')

export const shownLabels = (
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => !isOurs(name)))

/** The labels to keep: the client's, and what Docker's object says beside them. */
export const keptLabels = (
  labels: Readonly<Record<string, string>>,
  templating: string | undefined,
): Readonly<Record<string, string>> => ({
  ...shownLabels(labels),
  ...(templating === undefined ? {} : { [templatingLabel]: templating }),
})

/** What labels of ours a secret has, to keep them when the client's are replaced. */
export const ownLabels = (
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => isOurs(name)))
