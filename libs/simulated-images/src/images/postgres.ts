import { baseRoot, debianSystem, usualPath } from '../base-root.ts'
import type { Recipe } from '../recipe.ts'
import { directory, script } from '../root-entry.ts'

const version = '17.2'

/**
 * Looks for its password where the real one does, and says where it found it. A file is not read: whether
 * there is something in it is all that a stand-in has to know.
 */
const entrypoint = `#!/bin/sh
if [ "\${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi
if [ -n "\${POSTGRES_PASSWORD:-}" ] && [ -n "\${POSTGRES_PASSWORD_FILE:-}" ]; then
  echo "error: both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set (but are exclusive)" >&2
  exit 1
fi
found=
if [ -n "\${POSTGRES_PASSWORD_FILE:-}" ]; then
  if [ ! -r "$POSTGRES_PASSWORD_FILE" ]; then
    echo "docker-entrypoint.sh: $POSTGRES_PASSWORD_FILE: No such file or directory" >&2
    exit 1
  fi
  if [ -s "$POSTGRES_PASSWORD_FILE" ]; then found="POSTGRES_PASSWORD_FILE, which is $POSTGRES_PASSWORD_FILE"; fi
elif [ -n "\${POSTGRES_PASSWORD:-}" ]; then
  found="POSTGRES_PASSWORD, where anybody reads it who may see the environment"
elif [ "\${POSTGRES_HOST_AUTH_METHOD:-}" = trust ]; then
  found="nowhere: POSTGRES_HOST_AUTH_METHOD=trust lets everybody in"
fi
if [ -z "$found" ]; then
  echo "Error: Database is uninitialized and superuser password is not specified." >&2
  echo "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser." >&2
  exit 1
fi
echo "The superuser is \${POSTGRES_USER:-postgres}, the database \${POSTGRES_DB:-\${POSTGRES_USER:-postgres}}."
echo "The password was taken from $found."
echo "PostgreSQL init process complete; ready for start up (simulated by Conclave: no database was made)."
exec "$@"
`

const server = `#!/bin/sh
say() { echo "$(date -u '+%Y-%m-%d %H:%M:%S').000 UTC [1] LOG:  $*"; }
case "$1" in
  -V|--version) echo "postgres (PostgreSQL) ${version} (simulated by Conclave)"; exit 0 ;;
esac
say "starting PostgreSQL ${version}, simulated by Conclave: it keeps nothing and nobody can reach it"
say "database system is ready to accept connections"
trap 'say "received fast shutdown request"; say "database system is shut down"; exit 0' TERM INT QUIT
while :; do
  sleep 86400 &
  wait $!
done
`

const ready = `#!/bin/sh
echo "/var/run/postgresql:5432 - accepting connections (simulated by Conclave)"
`

const client = `#!/bin/sh
echo "psql: simulated by Conclave: there is no database here" >&2
exit 2
`

export const postgres: Recipe = {
  repository: 'postgres',
  description: 'a database that keeps nothing, and looks for its password',
  entries: [
    ...baseRoot('postgres', debianSystem, [
      { name: 'postgres', id: 999, home: '/var/lib/postgresql', shell: '/bin/sh' },
    ]),
    directory('/docker-entrypoint-initdb.d'),
    script('/usr/local/bin/docker-entrypoint.sh', entrypoint),
    script('/usr/local/bin/pg_isready', ready),
    script('/usr/local/bin/postgres', server),
    script('/usr/local/bin/psql', client),
    directory('/var/lib/postgresql'),
    directory('/var/lib/postgresql/data', 0o777),
  ],
  entrypoint: ['docker-entrypoint.sh'],
  command: ['postgres'],
  environment: [usualPath, `PG_VERSION=${version}`, 'PGDATA=/var/lib/postgresql/data'],
  exposedPorts: ['5432/tcp'],
  volumes: ['/var/lib/postgresql/data'],
  stopSignal: 'SIGINT',
}
