/** RFC 3339 in UTC, as Go writes it: without the zeros at the end. Source: docker-swarm.md A3. */
export const rfc3339 = (atMs: number): string =>
  new Date(atMs).toISOString().replace(/\.?0*Z$/, 'Z')

export const zeroTime = '0001-01-01T00:00:00Z'
