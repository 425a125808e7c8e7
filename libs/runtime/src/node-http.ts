/**
 * `node:http`. Imported, it would bring along undici, whose WebSocket stands among its exports and which nobody
 * here uses: 3 MiB of every process.
 */
export const http = process.getBuiltinModule('node:http')
