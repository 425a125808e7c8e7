/*
 * A transcript is what a terminal shows: `$ ` and a command, then what it printed, and `[1]` where it ended
 * with 1. Ids, times and values are named in it by kind and by the order in which they first come, so that
 * the same one has the same name all the way.
 */

export interface Entry {
  /** As it is typed; `{my_app}` stands for the container of that service that `docker ps` showed last. */
  readonly command: string
  readonly printed: string
}

export function parseTranscript(text: string): readonly Entry[] {
  return text
    .split(/^(?=\$ )/m)
    .filter((part) => part.startsWith('$ '))
    .map((part) => {
      const end = part.indexOf('\n')
      return { command: part.slice(2, end), printed: part.slice(end + 1) }
    })
}

export const transcriptText = (entries: readonly Entry[]): string =>
  entries.map(({ command, printed }) => `$ ${command}\n${printed}`).join('')

const objectId = /\b(?=[a-z]*\d)[0-9a-z]{25}\b/g
const joinToken = /SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g
const value = /\b[0-9a-f]{32}\b/g
/** At the beginning of a row: of an object, or of a container. */
const shortId = /^[0-9a-z]{12}(?= {2,})/gm
const moment = /\b\d{4}-\d\d-\d\dT[\d:.]+Z/g
const ago = /\b(?:Less than a second|About an? \w+|\d+ \w+) ago\b/g
const up = /\bUp (?:Less than a second|About an? \w+|\d+ \w+)/g
const address = /\b\d{1,3}(?:\.\d{1,3}){3}:\d+\b/g

/** Names what differs from one run to the next. One of it reads one transcript, from its beginning. */
export class Naming {
  readonly #names = new Map<string, Map<string, string>>()

  /** What a command printed, with names in it, and without what is repeated while one waits. */
  name(printed: string): string {
    const lines = withoutProgress(printed.replaceAll('\r', '').replace(/\n+$/, '\n')).split('\n')
    return lines
      .map((line) =>
        this.#named(line)
          .replace(/(?<=\S) {2,}/g, '  ')
          .trimEnd(),
      )
      .join('\n')
  }

  /** All that were named as values. */
  get values(): readonly string[] {
    return [...(this.#names.get('value')?.keys() ?? [])]
  }

  #named(line: string): string {
    return line
      .replace(joinToken, '<join token>')
      .replace(objectId, (id) => this.#nameOf('id', id))
      .replace(value, (text) => this.#nameOf('value', text))
      .replace(shortId, (short) => this.#nameOfShort(short))
      .replace(moment, '<time>')
      .replace(ago, '<time> ago')
      .replace(up, 'Up <time>')
      .replace(address, '<address>')
      .replace(/(?<="Index": )\d+/, '<version>')
  }

  #nameOf(kind: string, text: string): string {
    const known = this.#names.get(kind) ?? new Map<string, string>()
    this.#names.set(kind, known)
    const name = known.get(text) ?? `<${kind} ${known.size + 1}>`
    known.set(text, name)
    return name
  }

  /** The first twelve of an id that was shown whole, or of one that never was. */
  #nameOfShort(short: string): string {
    const whole = [...(this.#names.get('id')?.keys() ?? [])].find((id) => id.startsWith(short))
    return whole === undefined ? this.#nameOf('container', short) : this.#nameOf('id', whole)
  }
}

/** How often the CLI says that it waits depends on the machine, and how it says the end on its version. */
const withoutProgress = (printed: string): string =>
  printed
    .split('\n')
    .filter((line, at, all) => line !== all[at - 1] || !line.startsWith('overall progress'))
    .filter((line) => !/^(?:overall progress: 0 out of|\d+\/\d+: |verify: Waiting)/.test(line))
    .filter((line, at, all) => line !== all[at - 1] || !line.startsWith('overall progress'))
    .map((line) => line.replace(/^verify: Service (?:\S+ )?converged/, 'verify: Service converged'))
    .join('\n')
