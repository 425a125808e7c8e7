import type { AgentApi, AgentExecutorView, PlainAnswer } from '@conclave/actors'
import { trimEndOf } from '@conclave/kernel'
import type { AgentResponse } from '@conclave/model'
import { plain } from './answers.ts'
import type { AgentFaceOptions } from './face.ts'

/*
 * What can be read of sandboxes: the output of each container, under the paths that Mesos gives it, also
 * when it has ended; and what was fetched into them, where that is kept to be leaked as Mesos does. There
 * is no way from a path to anything else: a path is compared with those that are there, and none is ever
 * made from it. Files that a container writes stay its own, and so do its secrets.
 *
 * `/frameworks/<fid>/executors/<eid>/runs/latest` is the sandbox of a container, `/stdout` and
 * `/stderr` lie in it; `…/containers/<child>` of one that is nested.
 */

const outputs = ['stdout', 'stderr'] as const

interface Sandbox {
  readonly path: string
  readonly containerId: string
}

/** Those of what runs come first, and of what has ended the newest. */
function sandboxesOf(api: AgentApi): readonly Sandbox[] {
  const agentId = api.status().agentId ?? ''
  const { executors, ended } = api.view()
  return ['', `/slaves/${agentId}`].flatMap((prefix) => [
    ...executors.flatMap((executor) => sandboxes(executor, prefix)),
    ...ended.toReversed().flatMap(({ frameworkId, executorId, containerId }) => {
      const [run = '', ...children] = containerId.split('.')
      const runs = `${prefix}/frameworks/${frameworkId}/executors/${executorId}/runs`
      const below = children.map((child) => `/containers/${child}`).join('')
      return ['latest', run].map((name) => ({ path: `${runs}/${name}${below}`, containerId }))
    }),
  ])
}

function sandboxes(
  { frameworkId, executorId, containerId, tasks }: AgentExecutorView,
  prefix: string,
): readonly Sandbox[] {
  const runs = `${prefix}/frameworks/${frameworkId}/executors/${executorId}/runs`
  return ['latest', containerId].flatMap((run) => [
    { path: `${runs}/${run}`, containerId },
    ...tasks
      .filter((task) => task.containerId !== containerId)
      .map((task) => ({
        path: `${runs}/${run}/containers/${task.containerId.slice(containerId.length + 1)}`,
        containerId: task.containerId,
      })),
  ])
}

const trimmed = (path: string): string => (path.length > 1 ? trimEndOf(path, '/') : path)

/** The innermost sandbox that a path leads into, and what is left of the path. */
function placeAt(
  api: AgentApi,
  path: string,
): { readonly containerId: string; readonly rest: string } | undefined {
  const within = sandboxesOf(api).filter((one) => `${path}/`.startsWith(`${one.path}/`))
  const longest = Math.max(...within.map((one) => one.path.length))
  const found = within.find((one) => one.path.length === longest)
  return found && { containerId: found.containerId, rest: path.slice(found.path.length + 1) }
}

export interface FileShown {
  readonly path: string
  readonly size: number
  readonly isDirectory: boolean
}

/** Undefined when there is no such directory. */
export async function filesIn(
  api: AgentApi,
  { fetchedInto }: AgentFaceOptions,
  asked: string,
): Promise<readonly FileShown[] | undefined> {
  const path = trimmed(asked)
  const place = placeAt(api, path)
  if (place === undefined) return undefined
  const { containerId, rest } = place
  const above = rest === '' ? '' : `${rest}/`
  const shown = new Map<string, FileShown>()
  for (const file of fetchedInto?.(containerId) ?? []) {
    if (!file.path.startsWith(above)) continue
    const [name = '', ...deeper] = file.path.slice(above.length).split('/')
    const isDirectory = deeper.length > 0
    const size = isDirectory ? 0 : file.bytes.length
    shown.set(name, { path: `${path}/${name}`, size, isDirectory })
  }
  if (rest !== '') return shown.size === 0 ? undefined : [...shown.values()]
  for (const name of outputs) {
    const size = (await outputOf(api, containerId, name)).length
    shown.set(name, { path: `${path}/${name}`, size, isDirectory: false })
  }
  return [...shown.values()]
}

/** Undefined when there is no such file. */
export async function bytesOf(
  api: AgentApi,
  { fetchedInto }: AgentFaceOptions,
  path: string,
): Promise<Buffer | undefined> {
  const { containerId, rest } = placeAt(api, path) ?? {}
  if (containerId === undefined) return undefined
  const output = outputs.find((name) => name === rest)
  if (output !== undefined) return outputOf(api, containerId, output)
  const file = fetchedInto?.(containerId).find((one) => one.path === rest)
  return file && Buffer.from(file.bytes)
}

type OutputName = (typeof outputs)[number]

function outputOf(api: AgentApi, containerId: string, name: OutputName): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = []
    const session = api.openOutput(
      containerId,
      {
        waitingBytes: 0,
        output: ({ stream, bytes }) => {
          if (stream === name) pieces.push(bytes)
        },
        ended: () => resolve(Buffer.concat(pieces)),
      },
      false,
    )
    if (session === undefined) resolve(Buffer.alloc(0))
  })
}

export async function listFiles(
  api: AgentApi,
  options: AgentFaceOptions,
  path: string,
): Promise<PlainAnswer | AgentResponse> {
  const files = await filesIn(api, options, path)
  if (files === undefined) return plain(404)
  const fileInfos = files.map((file) => ({
    path: file.path,
    nlink: 1,
    size: file.size,
    mode: file.isDirectory ? 0o040755 : 0o100644,
    uid: 'root',
    gid: 'root',
  }))
  return { type: 'LIST_FILES', list_files: { file_infos: fileInfos } }
}

const readBytesMax = 1_048_576

export async function readFile(
  api: AgentApi,
  options: AgentFaceOptions,
  path: string,
  { offset, length }: { readonly offset: number; readonly length: number | undefined },
): Promise<PlainAnswer | AgentResponse> {
  const bytes = await bytesOf(api, options, path)
  if (bytes === undefined) return plain(404)
  const end = offset + Math.min(length ?? readBytesMax, readBytesMax)
  const data = bytes.subarray(offset, end).toString('base64')
  return { type: 'READ_FILE', read_file: { size: bytes.length, data } }
}
