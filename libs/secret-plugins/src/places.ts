import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

/*
 * Where a plug-in of Docker's listens. Source: reference/resolvers.md §5.1: sockets first, then files that
 * say where.
 */

export interface PluginDirectories {
  readonly sockets: readonly string[]
  readonly specs: readonly string[]
}

/** Where dockerd looks. */
export const engineDirectories: PluginDirectories = {
  sockets: ['/run/docker/plugins'],
  specs: ['/etc/docker/plugins', '/usr/lib/docker/plugins'],
}

/** How to reach a plug-in. */
export interface PluginPlace {
  readonly url: URL
  readonly socketPath?: string
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
}

const plainName = /^[a-zA-Z0-9][\w.-]{0,63}$/

const PluginFile = z.object({
  Addr: z.string(),
  TLSConfig: z
    .object({
      InsecureSkipVerify: z.boolean().nullish(),
      CAFile: z.string().nullish(),
      CertFile: z.string().nullish(),
      KeyFile: z.string().nullish(),
    })
    .nullish(),
})

/** A plug-in's file cannot be used. Its message names the file and the fault. */
export class PluginUnusable extends Error {}

/**
 * Where the plug-in of that name is, or nothing when there is none. A name is one component of a path.
 *
 * @throws PluginUnusable
 */
export async function findPlugin(
  name: string,
  { sockets, specs }: PluginDirectories,
): Promise<PluginPlace | undefined> {
  if (!plainName.test(name)) return undefined
  for (const directory of sockets) {
    for (const file of [`${name}.sock`, join(name, `${name}.sock`)]) {
      const path = join(directory, file)
      if (await isSocket(path)) return onSocket(path)
    }
  }
  for (const directory of specs) {
    for (const file of [`${name}.spec`, join(name, `${name}.spec`)]) {
      const text = await textOf(join(directory, file))
      if (text !== undefined) return placeAt(text.trim(), undefined, file)
    }
    for (const file of [`${name}.json`, join(name, `${name}.json`)]) {
      const text = await textOf(join(directory, file))
      if (text !== undefined) return placeIn(text, file)
    }
  }
  return undefined
}

const onSocket = (socketPath: string): PluginPlace => ({
  url: new URL('http://plugin.moby.localhost'),
  socketPath,
})

function placeIn(text: string, file: string): PluginPlace {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new PluginUnusable(`${file} is no JSON`)
  }
  const parsed = PluginFile.safeParse(json)
  if (!parsed.success) throw new PluginUnusable(`${file} has no Addr`)
  const { Addr, TLSConfig } = parsed.data
  if (TLSConfig?.InsecureSkipVerify === true) {
    throw new PluginUnusable(`${file} asks to trust anybody: secrets are not fetched like that`)
  }
  const tls = TLSConfig && {
    ...(TLSConfig.CAFile && { caFile: TLSConfig.CAFile }),
    ...(TLSConfig.CertFile && { certFile: TLSConfig.CertFile }),
    ...(TLSConfig.KeyFile && { keyFile: TLSConfig.KeyFile }),
  }
  return placeAt(Addr, tls ?? undefined, file)
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

function placeAt(address: string, tls: PluginPlace['tls'], file: string): PluginPlace {
  if (address.startsWith('unix://')) return onSocket(address.slice('unix://'.length))
  const [, protocol, rest = ''] = /^(tcp|http|https):\/\/(.+)$/.exec(address) ?? []
  const isSecure = protocol === 'https' || tls !== undefined
  const url = URL.parse(`${isSecure ? 'https' : 'http'}://${rest}`)
  if (protocol === undefined || url === null) {
    throw new PluginUnusable(`${file} names no unix, tcp, http or https address`)
  }
  // A value must not cross a network in the clear.
  if (!isSecure && !loopback.has(url.hostname)) {
    throw new PluginUnusable(`${file} names another machine without TLS`)
  }
  return { url, ...(tls && { tls }) }
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket()
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

const isMissing = (error: unknown): boolean => {
  const { code } = error as { code?: unknown }
  return code === 'ENOENT' || code === 'ENOTDIR'
}
