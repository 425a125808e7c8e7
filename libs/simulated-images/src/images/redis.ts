import { baseRoot, debianSystem, usualPath } from '../base-root.ts'
import type { Recipe } from '../recipe.ts'
import { directory, script } from '../root-entry.ts'

const version = '7.4.1'

const entrypoint = `#!/bin/sh
set -e
# The first argument is an option, or a configuration: then the server is meant.
if [ "\${1#-}" != "$1" ] || [ "\${1%.conf}" != "$1" ]; then
  set -- redis-server "$@"
fi
exec "$@"
`

/** Says whether it was given a password, and never which. */
const server = `#!/bin/sh
say() { echo "1:M $(date '+%d %b %Y %H:%M:%S').000 * $*"; }
case "$1" in
  -v|--version) echo "Redis server v=${version} (simulated by Conclave)"; exit 0 ;;
esac
password=no
case "$1" in
  ''|-*) ;;
  *)
    if [ ! -r "$1" ]; then
      echo "Fatal error, can't open config file '$1': No such file or directory" >&2
      exit 1
    fi
    if grep -q '^[[:space:]]*requirepass[[:space:]]' "$1"; then password=yes; fi
    ;;
esac
for argument in "$@"; do
  if [ "$argument" = --requirepass ]; then password=yes; fi
done
say "Redis version=${version}, simulated by Conclave: it keeps nothing and nobody can reach it"
say "a password is required: $password"
say "Ready to accept connections"
trap 'say "Received SIGTERM, bye bye..."; exit 0' TERM INT
while :; do
  sleep 86400 &
  wait $!
done
`

const client = `#!/bin/sh
for argument in "$@"; do
  case "$argument" in
    [Pp][Ii][Nn][Gg]) echo PONG; exit 0 ;;
    -v|--version) echo "redis-cli ${version} (simulated by Conclave)"; exit 0 ;;
  esac
done
echo "redis-cli: simulated by Conclave: it knows PING alone" >&2
exit 1
`

export const redis: Recipe = {
  repository: 'redis',
  description: 'a key-value store that keeps nothing',
  entries: [
    ...baseRoot('redis', debianSystem, [
      { name: 'redis', id: 999, home: '/data', shell: '/bin/false' },
    ]),
    directory('/data', 0o777),
    script('/usr/local/bin/docker-entrypoint.sh', entrypoint),
    script('/usr/local/bin/redis-cli', client),
    script('/usr/local/bin/redis-server', server),
  ],
  entrypoint: ['docker-entrypoint.sh'],
  command: ['redis-server'],
  environment: [usualPath, `REDIS_VERSION=${version}`],
  workingDirectory: '/data',
  exposedPorts: ['6379/tcp'],
  volumes: ['/data'],
}
