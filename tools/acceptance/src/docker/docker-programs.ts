import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Every docker CLI that is here: the first on the PATH, and Debian's if that is another; each with its version. */
export function dockerPrograms(): readonly (readonly [path: string, version: string])[] {
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'docker'))
  const [first] = onPath.filter((path) => existsSync(path))
  const found = [first, '/usr/bin/docker'].filter(
    (path): path is string => path !== undefined && existsSync(path),
  )
  return [...new Set(found.map((path) => realpathSync(path)))].map((path) => {
    const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
    return [path, stdout.trim()]
  })
}
