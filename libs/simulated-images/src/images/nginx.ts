import { baseRoot, debianSystem, usualPath } from '../base-root.ts'
import type { Recipe } from '../recipe.ts'
import { directory, file, script } from '../root-entry.ts'

const version = '1.27.3'

/** Runs what was put into its directory, as the real one does. */
const entrypoint = `#!/bin/sh
set -e
if [ "$1" = nginx ]; then
  for file in /docker-entrypoint.d/*.sh; do
    if [ -x "$file" ]; then
      echo "/docker-entrypoint.sh: Launching $file"
      "$file"
    fi
  done
fi
exec "$@"
`

/** Certificates that its configuration names have to be there: that is what secrets are for. */
const program = `#!/bin/sh
say() { echo "$(date '+%Y/%m/%d %H:%M:%S') [$1] 1#1: $2" >&2; }
case "$1" in
  -v|-V) echo "nginx version: nginx/${version} (simulated by Conclave)" >&2; exit 0 ;;
  -s) echo "nginx: simulated by Conclave: there is nothing to send a signal to" >&2; exit 1 ;;
esac
for path in $(sed -n 's/^[[:space:]]*ssl_certificate\\(_key\\)\\{0,1\\}[[:space:]][[:space:]]*\\([^;]*\\);.*/\\2/p' /etc/nginx/nginx.conf /etc/nginx/conf.d/*.conf 2>/dev/null); do
  if [ ! -r "$path" ]; then
    say emerg "cannot load certificate \\"$path\\": No such file or directory"
    exit 1
  fi
  say notice "$path is there"
done
if [ "$1" = -t ]; then
  echo "nginx: simulated by Conclave: of the configuration only certificates were looked for" >&2
  exit 0
fi
say notice "nginx/${version}, simulated by Conclave: it serves nothing"
say notice "start worker processes"
trap 'say notice "signal 15 (SIGTERM) received, exiting"; exit 0' TERM INT
trap 'say notice "signal 3 (SIGQUIT) received, shutting down"; exit 0' QUIT
while :; do
  sleep 86400 &
  wait $!
done
`

const usualConfiguration = `server {
    listen       80;
    server_name  localhost;
    root         /usr/share/nginx/html;
}
`

const page = `<!DOCTYPE html>
<html><head><title>nginx, simulated</title></head>
<body><h1>This nginx is simulated by Conclave.</h1></body></html>
`

export const nginx: Recipe = {
  repository: 'nginx',
  description: 'a web server that serves nothing, and looks for its certificates',
  entries: [
    ...baseRoot('nginx', debianSystem, [
      { name: 'nginx', id: 101, home: '/nonexistent', shell: '/bin/false' },
    ]),
    directory('/docker-entrypoint.d'),
    script('/docker-entrypoint.sh', entrypoint),
    directory('/etc/nginx'),
    directory('/etc/nginx/conf.d'),
    file('/etc/nginx/conf.d/default.conf', usualConfiguration),
    file('/etc/nginx/nginx.conf', 'events {}\nhttp {\n    include /etc/nginx/conf.d/*.conf;\n}\n'),
    script('/usr/sbin/nginx', program),
    directory('/usr/share/nginx'),
    directory('/usr/share/nginx/html'),
    file('/usr/share/nginx/html/index.html', page),
    directory('/var/log/nginx'),
  ],
  entrypoint: ['/docker-entrypoint.sh'],
  command: ['nginx', '-g', 'daemon off;'],
  environment: [usualPath, `NGINX_VERSION=${version}`],
  exposedPorts: ['80/tcp'],
  stopSignal: 'SIGQUIT',
}
