import { ConclaveError } from '@conclave/kernel'

/**
 * A container cannot have its secrets as its spec wants them. Refused before anything is placed, and
 * never softened to something weaker. The message may be shown: it has names, sizes and no value.
 * Codes and texts: reference/isolators.md §10.
 */
export abstract class PlanRefused extends ConclaveError {}

/** A value, or the files of a container together, are larger than they may be. */
export class SecretOversize extends PlanRefused {
  readonly code = 'SECRET_TOO_LARGE'
}

/** A secret volume's `container_path` would lead somewhere else, or is no path of a file. */
export class ContainerPathRefused extends PlanRefused {
  readonly code = 'SECRET_PATH_INVALID'
}

/** A name or a value that cannot be an environment variable. */
export class VariableRefused extends PlanRefused {
  readonly code = 'SECRET_ENV_INVALID'
}

/** Two secrets of one container want one path. */
export class PathsInConflict extends PlanRefused {
  readonly code = 'ISOLATOR_CONFLICT'
}

/** More than a container may have of its host. */
export class PrivilegeRefused extends PlanRefused {
  readonly code = 'PRIVILEGED_REFUSED'
}

/** A spec that contradicts itself, or wants what is not supported: said in Mesos' own words. */
export class ContainerSpecRefused extends PlanRefused {
  readonly code = 'SPEC_INVALID'
}

const shownLength = 200

/** `text` in quotes, its control characters escaped, and no longer than a status may be. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > shownLength ? `${text.slice(0, shownLength)}…` : text)
