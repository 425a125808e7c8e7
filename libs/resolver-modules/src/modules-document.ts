import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { isAbsolute, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { z } from 'zod'
import { ModulesInvalid } from './errors.ts'

/*
 * The JSON of `--modules`, as Mesos reads it (reference/mesos.md §12). A library is a TypeScript or
 * JavaScript file, or a package by its name; each of its modules is an export.
 */

const Parameter = z.object({ key: z.string(), value: z.string().default('') })
const Library = z.object({
  file: z.string().optional(),
  name: z.string().optional(),
  modules: z
    .array(z.object({ name: z.string().optional(), parameters: z.array(Parameter).default([]) }))
    .default([]),
})
const ModulesDocument = z.object({ libraries: z.array(Library).default([]) })

/** One module of a document: what to import, and what to make it with. */
export interface ModuleSpec {
  readonly name: string
  /** As the document writes it. */
  readonly library: string
  /** A `file:` URL. */
  readonly url: string
  /** May be secret: never shown. */
  readonly parameters: Readonly<Record<string, string>>
}

/**
 * The modules of a document.
 *
 * @param text inline JSON, `file:///path`, or a path
 * @param directory what relative paths and package names are looked for from
 * @throws ModulesInvalid
 */
export async function readModules(
  text: string,
  directory: string,
): Promise<ReadonlyMap<string, ModuleSpec>> {
  const { json, base } = await documentOf(text.trim(), directory)
  const read = ModulesDocument.safeParse(parsed(json))
  if (!read.success) {
    const [issue] = read.error.issues
    throw new ModulesInvalid(
      `Failed to parse --modules: ${issue?.path.join('.') || 'the document'}: ${issue?.message}`,
    )
  }
  const modules = new Map<string, ModuleSpec>()
  for (const { file, name: packageName, modules: listed } of read.data.libraries) {
    const library = file ?? packageName
    if (library === undefined || library === '') {
      throw new ModulesInvalid('Library name or path not provided')
    }
    const url = file === undefined ? urlOfPackage(library, base) : urlOfFile(library, base)
    for (const { name, parameters } of listed) {
      if (name === undefined || name === '') {
        throw new ModulesInvalid(`Error: module name not provided with library '${library}'`)
      }
      if (modules.has(name)) {
        throw new ModulesInvalid(
          `Error loading module '${name}': a module of this name is there already`,
        )
      }
      const values = Object.fromEntries(parameters.map(({ key, value }) => [key, value]))
      modules.set(name, { name, library, url, parameters: values })
    }
  }
  return modules
}

async function documentOf(
  text: string,
  directory: string,
): Promise<{ readonly json: string; readonly base: string }> {
  if (text.startsWith('{')) return { json: text, base: directory }
  try {
    const path = text.startsWith('file:') ? fileURLToPath(text) : resolve(directory, text)
    return { json: await readFile(path, 'utf8'), base: resolve(path, '..') }
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'not a path'
    throw new ModulesInvalid(`Failed to read --modules from '${text}': ${why}`, { cause })
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    // Not the parser's words: they quote the text, and a parameter may be a token.
    throw new ModulesInvalid('Failed to parse --modules: it is not JSON')
  }
}

const urlOfFile = (file: string, base: string): string => {
  const path = file.startsWith('file:') ? fileURLToPath(file) : file
  return pathToFileURL(isAbsolute(path) ? path : resolve(base, path)).href
}

function urlOfPackage(name: string, base: string): string {
  try {
    return pathToFileURL(createRequire(resolve(base, 'modules.json')).resolve(name)).href
  } catch (cause) {
    throw new ModulesInvalid(`Error opening library: '${name}': there is no such package`, {
      cause,
    })
  }
}
