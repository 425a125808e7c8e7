import { familiarName, type ImageName } from '@conclave/simulated-images'
import { jsonLine } from '../answers.ts'

/** What `docker pull` prints, one object a line: nothing is fetched, and it says so. */
export function pullStream(name: ImageName, digest: string, isNew: boolean): Buffer {
  const whole = familiarName(name)
  const status = isNew
    ? `Status: Downloaded newer image for ${whole}`
    : `Status: Image is up to date for ${whole}`
  const lines: readonly object[] = [
    { status: `Pulling from ${name.repository}`, id: name.tag ?? name.digest },
    { status: `${name.familiar} is simulated by Conclave: nothing is fetched` },
    { status: `Digest: ${digest}` },
    { status },
  ]
  return Buffer.concat(lines.map(jsonLine))
}
