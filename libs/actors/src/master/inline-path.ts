/** Where the envelope of an inline value belongs. */
export const inlinePath = (id: string): string => `inline/${id}`
