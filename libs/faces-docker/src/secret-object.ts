import { ownLabelPrefix, secretDriverLabel, type SecretMetadata } from '@conclave/model'
import { isAnnotationName } from './names.ts'
import { rfc3339 } from './times.ts'

/*
 * A secret as the Engine shows it. Source: docker-swarm.md A6 and objects.json. What only Docker knows of
 * one is kept among its labels, below names that no client of this face can set.
 */

const templatingLabel = 'conclave.docker/templating'
const optionsLabel = 'conclave.docker/driver-options'

export interface SecretObject {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Spec: {
    readonly Name: string
    readonly Labels: Readonly<Record<string, string>>
    readonly Driver?: { readonly Name: string; readonly Options?: unknown }
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
  return {
    ID: id,
    Version: { Index: revision },
    CreatedAt: rfc3339(createdAtMs),
    UpdatedAt: rfc3339(updatedAtMs),
    Spec: {
      Name: path,
      Labels: shownLabels(metadata.labels),
      ...driversOf(metadata.labels),
    },
  }
}

const written = new WeakMap<SecretMetadata, string>()

/** {@link secretObject} as JSON, written once for each metadata object: a list has thousands of them. */
export function secretJson(metadata: SecretMetadata): string {
  const known = written.get(metadata)
  if (known !== undefined) return known
  const json = JSON.stringify(secretObject(metadata))
  written.set(metadata, json)
  return json
}

/** Who has the value, and what the value is written in, where somebody said so. */
export function driversOf(
  labels: Readonly<Record<string, string>>,
): Pick<SecretObject['Spec'], 'Driver' | 'Templating'> {
  const { [secretDriverLabel]: driver, [optionsLabel]: options } = labels
  const templating = templatingOf(labels)
  const Options: unknown = options === undefined ? undefined : JSON.parse(options)
  return {
    ...(driver !== undefined && {
      Driver: { Name: driver, ...(Options !== undefined && { Options }) },
    }),
    ...(templating !== undefined && { Templating: { Name: templating } }),
  }
}

const isOurs = (name: string): boolean => name.startsWith(ownLabelPrefix)

export const shownLabels = (
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => !isOurs(name)))

/** The labels to keep: the client's, and what Docker's object says beside them. */
export const keptLabels = (
  labels: Readonly<Record<string, string>>,
  own: {
    readonly templating: string
    readonly driver: string
    readonly driverOptions: Readonly<Record<string, string>>
  },
): Readonly<Record<string, string>> => ({
  ...shownLabels(labels),
  ...(own.templating !== '' && { [templatingLabel]: own.templating }),
  ...(own.driver !== '' && { [secretDriverLabel]: own.driver }),
  ...(Object.keys(own.driverOptions).length > 0 && {
    [optionsLabel]: JSON.stringify(own.driverOptions),
  }),
})

/** What labels of ours a secret has, to keep them when the client's are replaced. */
export const ownLabels = (
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => isOurs(name)))
