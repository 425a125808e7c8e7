import { toText, type ByteString } from './byte-string.ts'
import { FileSystemError } from './file-system.ts'

/** The absolute form of a path: the working directory in front, nothing else resolved. */
export function absolutePath(cwd: ByteString, path: ByteString): ByteString {
  if (path.startsWith('/')) return path
  return cwd.endsWith('/') ? cwd + path : `${cwd}/${path}`
}

/** Takes out `.`, `..` and double slashes by text alone, as `cd` does. */
export function normalPath(path: ByteString): ByteString {
  const names: ByteString[] = []
  for (const name of path.split('/')) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return `/${names.join('/')}`
}

/** A loop, since a regular expression would look at a long run of slashes once for each of them. */
export function withoutTrailingSlashes(path: ByteString): ByteString {
  let end = path.length
  while (end > 0 && path[end - 1] === '/') end--
  return path.slice(0, end)
}

export function baseName(path: ByteString): ByteString {
  const trimmed = withoutTrailingSlashes(path)
  if (trimmed === '') return path === '' ? '' : '/'
  return trimmed.slice(trimmed.lastIndexOf('/') + 1)
}

export function parentPath(path: ByteString): ByteString {
  const trimmed = withoutTrailingSlashes(path)
  if (trimmed === '') return path === '' ? '.' : '/'
  const cut = trimmed.lastIndexOf('/')
  if (cut < 0) return '.'
  return withoutTrailingSlashes(trimmed.slice(0, cut)) || '/'
}

/** A path as the file system port wants it. @throws FileSystemError when it is not UTF-8 */
export function textPath(path: ByteString): string {
  const text = toText(path)
  if (text === undefined) throw new FileSystemError('EILSEQ', 'path')
  if (text.includes('\0')) throw new FileSystemError('EINVAL', 'path')
  return text
}
