import { baseRoot, debianSystem, usualPath } from '../base-root.ts'
import type { Recipe } from '../recipe.ts'
import { script } from '../root-entry.ts'

/**
 * Runs what it is told to where there is such a program. Else it stays and says so, because what the real
 * image would do with these words nobody knows here.
 */
const standIn = (name: string): string => `#!/bin/sh
if [ $# -gt 0 ] && command -v "$1" >/dev/null 2>&1; then exec "$@"; fi
echo "${name} is simulated by Conclave: nothing of it runs here, and this stays until it is told to end"
trap 'exit 0' TERM INT QUIT
while :; do
  sleep 86400 &
  wait $!
done
`

/** The stand-in of any image that nobody has described. `name` is one that was parsed. */
export const generic = (name: string): Recipe => ({
  repository: name,
  description: 'an image that nobody has described',
  entries: [
    ...baseRoot(name, debianSystem),
    script('/usr/local/bin/conclave-stand-in', standIn(name)),
  ],
  entrypoint: ['/usr/local/bin/conclave-stand-in'],
  environment: [usualPath],
})
