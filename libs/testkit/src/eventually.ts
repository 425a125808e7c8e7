import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for something that real sockets will bring about. A test that waits in vain times out. */
export async function eventually(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(2)
}
