import type { AgentApi, AgentExecutorView, PlainAnswer } from '@conclave/actors'
import { plain } from './answers.ts'

/*
 * What can be read of sandboxes: the output of each container, under the paths that Mesos gives it.
 * There is no way from a path to anything else: a path is compared with those that are there, and none
 * is ever made from it. Files that a container writes stay its own, and so do its secrets.
 *
 * `/frameworks/<fid>/executors/<eid>/runs/latest` is the sandbox of a container, `/stdout` and
 * `/stderr` lie in it; `…/containers/<child>` of one that is nested.
 */

const outputs = ['stdout', 'stderr'] as const

interface Sandbox {
  readonly path: string
  readonly containerId: string
}

function sandboxesOf(api: AgentApi): readonly Sandbox[] {
  const agentId = api.status().agentId ?? ''
  return api
    .view()
    .executors.flatMap((executor) => [
      ...sandboxes(executor, ''),
      ...sandboxes(executor, `/slaves/${agentId}`),
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

const trimmed = (path: string): string => (path.length > 1 ? path.replace(/\/+$/, '') : path)

export function sandboxAt(api: AgentApi, path: string): Sandbox | undefined {
  return sandboxesOf(api).find((one) => one.path === trimmed(path))
}

type OutputName = (typeof outputs)[number]

function outputAt(
  api: AgentApi,
  path: string,
): { readonly containerId: string; readonly name: OutputName } | undefined {
  const slash = path.lastIndexOf('/')
  const name = outputs.find((one) => one === path.slice(slash + 1))
  const sandbox = name && sandboxAt(api, path.slice(0, slash))
  return name && sandbox && { containerId: sandbox.containerId, name }
}

export interface FileShown {
  readonly path: string
  readonly size: number
}

/** Undefined when there is no such directory. */
export async function filesIn(
  api: AgentApi,
  path: string,
): Promise<readonly FileShown[] | undefined> {
  const sandbox = sandboxAt(api, path)
  if (sandbox === undefined) return undefined
  return Promise.all(
    outputs.map(async (name) => ({
      path: `${trimmed(path)}/${name}`,
      size: (await outputOf(api, sandbox.containerId, name)).length,
    })),
  )
}

/** Undefined when there is no such file. */
export async function bytesOf(api: AgentApi, path: string): Promise<Buffer | undefined> {
  const file = outputAt(api, path)
  return file && outputOf(api, file.containerId, file.name)
}

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
  path: string,
): Promise<PlainAnswer | { readonly json: unknown }> {
  const files = await filesIn(api, path)
  if (files === undefined) return plain(404)
  const fileInfos = files.map((file) => ({
    path: file.path,
    nlink: 1,
    size: file.size,
    mode: 0o100644,
    uid: 'root',
    gid: 'root',
  }))
  return { json: { type: 'LIST_FILES', list_files: { file_infos: fileInfos } } }
}

const readBytesMax = 1_048_576

export async function readFile(
  api: AgentApi,
  path: string,
  { offset, length }: { readonly offset: number; readonly length: number | undefined },
): Promise<PlainAnswer | { readonly json: unknown }> {
  const bytes = await bytesOf(api, path)
  if (bytes === undefined) return plain(404)
  const end = offset + Math.min(length ?? readBytesMax, readBytesMax)
  const data = bytes.subarray(offset, end).toString('base64')
  return { json: { type: 'READ_FILE', read_file: { size: bytes.length, data } } }
}
