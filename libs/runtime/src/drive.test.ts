import { setImmediate as nextTurn } from 'node:timers/promises'

import { eventually } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'

import { MicroBatch, Ticker, type Timers } from './drive.ts'

/** Timers that run when a test says so. */
class ManualTimers implements Timers {
  #nowMs = 0
  #waiting: { dueMs: number; run: () => void }[] = []

  get waiting(): number {
    return this.#waiting.length
  }

  nowMs(): number {
    return this.#nowMs
  }

  after(ms: number, run: () => void): () => void {
    const timer = { dueMs: this.#nowMs + ms, run }
    this.#waiting.push(timer)
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== timer)
    }
  }

  /** One leap of `ms`, after which everything that is due runs once. */
  leap(ms: number): void {
    this.#nowMs += ms
    const due = this.#waiting.filter(({ dueMs }) => dueMs <= this.#nowMs)
    this.#waiting = this.#waiting.filter(({ dueMs }) => dueMs > this.#nowMs)
    for (const { run } of due) run()
  }
}

describe('a ticker', () => {
  test('RT10: ticks once per period, and does not drift when it is called late', () => {
    const timers = new ManualTimers()
    const ticksMs: number[] = []
    const ticker = new Ticker(100, () => ticksMs.push(timers.nowMs()), timers)

    ticker.start()
    ticker.start()
    for (const leap of [100, 130, 70, 99, 1, 100]) timers.leap(leap)

    expect(ticksMs).toEqual([100, 230, 300, 400, 500])
    expect(timers.waiting).toBe(1)
  })

  test('RT10: skips the periods in which the process stood still', () => {
    const timers = new ManualTimers()
    let ticks = 0
    const ticker = new Ticker(100, () => ticks++, timers)

    ticker.start()
    timers.leap(60_050)
    timers.leap(49)
    expect(ticks).toBe(1)

    timers.leap(1)
    expect(ticks).toBe(2)
  })

  test('RT10: stops from within a tick, and can be started again', () => {
    const timers = new ManualTimers()
    let ticks = 0
    const ticker: Ticker = new Ticker(
      100,
      () => {
        ticks++
        ticker.stop()
      },
      timers,
    )

    ticker.start()
    timers.leap(100)
    timers.leap(100)
    expect([ticks, timers.waiting]).toEqual([1, 0])

    ticker.start()
    timers.leap(100)
    expect(ticks).toBe(2)
  })

  test('RT10: ticks on the real clock, too', async () => {
    let ticks = 0
    const ticker = new Ticker(1, () => ticks++)
    ticker.start()

    await eventually(() => ticks >= 3)

    ticker.stop()
    expect(ticks).toBeGreaterThanOrEqual(3)
  })
})

describe('a micro batch', () => {
  test('RT10: runs once for all wake-ups of one turn, and again for one from within', async () => {
    let runs = 0
    const batch: MicroBatch = new MicroBatch(() => {
      if (++runs === 1) batch.wake()
    })

    batch.wake()
    batch.wake()
    await nextTurn()
    expect(runs).toBe(1)

    await nextTurn()
    await nextTurn()
    expect(runs).toBe(2)
  })

  test('RT10: forgets a wake-up when stopped', async () => {
    let runs = 0
    const batch = new MicroBatch(() => runs++)

    batch.wake()
    batch.stop()
    await nextTurn()
    expect(runs).toBe(0)

    batch.wake()
    await nextTurn()
    expect(runs).toBe(1)
  })
})
