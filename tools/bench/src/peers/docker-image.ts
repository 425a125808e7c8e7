import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Enough for a container that waits, and for somebody who reads a file in it. */
const programs = ['sh', 'cat', 'tail']

/**
 * Gives a dockerd an image without a registry: programs of this machine with the libraries that they
 * are linked to, and `tail -f /dev/null` to run.
 *
 * @param directory for its files, which the caller removes
 * @throws when a program is missing, or docker says no
 */
export function importImage(socket: string, directory: string, name: string): void {
  const root = join(directory, 'image')
  for (const program of programs) {
    const path = run('sh', ['-c', `command -v ${program}`]).trim()
    copy(path, join(root, 'bin', program))
    const libraries = run('ldd', [path]).match(/\/\S+/g) ?? []
    for (const library of libraries) copy(library, join(root, library))
  }
  const archive = join(directory, 'image.tar')
  run('tar', ['-C', root, '-cf', archive, '.'])
  const command = 'CMD ["tail","-f","/dev/null"]'
  run('docker', ['-H', `unix://${socket}`, 'import', '-c', command, archive, name])
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
}

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (status === 0) return stdout
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}
