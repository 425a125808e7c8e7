const lengthMax = 128

/** What a client wrote, as far as a message may repeat it. */
export const printable = (text: string): string =>
  text.slice(0, lengthMax).replaceAll(/[^\x20-\x7e]/g, '?')
