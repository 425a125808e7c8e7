/** What is wrong with a role's name, in Mesos' words, or undefined. Source: mesos.md §3. */
export function roleProblem(role: string): string | undefined {
  if (role === '*') return undefined
  if (role === '') return 'Role names cannot be the empty string'
  if (role.startsWith('/')) return `Role '${role}' cannot start with a slash`
  if (role.endsWith('/')) return `Role '${role}' cannot end with a slash`
  if (role.includes('//')) return `Role '${role}' cannot contain two adjacent slashes`
  return role
    .split('/')
    .map((component) => componentProblem(role, component))
    .find(isText)
}

function componentProblem(role: string, component: string): string | undefined {
  if (['.', '..', '*'].includes(component)) {
    return `Role '${role}' cannot include '${component}' as a component`
  }
  const because = `Role component '${component}' is invalid because it`
  if (component.startsWith('-')) return `${because} starts with a dash`
  if (/[\s\b]/.test(component)) return `${because} contains backspace or whitespace`
  return undefined
}

const isText = (problem: string | undefined): boolean => problem !== undefined
