import type { Caller } from '../master/master-api.ts'
import type { NewsApi, StateNews } from '../master/news/news-api.ts'
import { Signal } from '../signal.ts'

/** News that a test tells. */
export class FakeNews implements NewsApi {
  readonly #told: StateNews[] = []
  readonly #grown = new Signal()

  tell(news: StateNews): void {
    this.#told.push(news)
    this.#grown.raise()
  }

  async *follow(_caller: Caller, signal: AbortSignal): AsyncGenerator<readonly StateNews[]> {
    for (let at = this.#told.length; !signal.aborted;) {
      const next = this.#told.slice(at)
      at += next.length
      if (next.length === 0) await this.#grown.wait(signal)
      else yield next
    }
  }
}
