import { alpineSystem, baseRoot, busyboxSystem, usualPath } from '../base-root.ts'
import type { Recipe } from '../recipe.ts'
import { file } from '../root-entry.ts'

/** Ends at once where nobody types, as the real one does. */
export const busybox: Recipe = {
  repository: 'busybox',
  description: 'a shell and the usual small programs',
  entries: baseRoot('busybox', busyboxSystem),
  command: ['sh'],
  environment: [usualPath],
}

export const alpine: Recipe = {
  repository: 'alpine',
  description: 'a shell and the usual small programs',
  entries: [...baseRoot('alpine', alpineSystem), file('/etc/alpine-release', '3.21.0\n')],
  command: ['/bin/sh'],
  environment: [usualPath],
}

/** The image of the Swarm tutorial: it stays until it is told to end. Source: docker-swarm.md A11. */
export const infinite: Recipe = {
  repository: 'eon01/infinite',
  description: 'a shell that stays',
  entries: baseRoot('eon01/infinite', alpineSystem),
  command: ['/bin/sh', '-c', 'tail -f /dev/null'],
}
