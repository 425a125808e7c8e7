/** `a/b/json`: the name, and what is asked of it. */
export function splitEnd(path: string): readonly [name: string, what: string] {
  const at = path.lastIndexOf('/')
  return [path.slice(0, Math.max(at, 0)), path.slice(at + 1)]
}
