import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  Registry,
  type MetricConfiguration,
} from 'prom-client'

/**
 * What is counted in this process, for Prometheus to fetch. Labels name kinds and outcomes, never a
 * secret's path or value (reference threats.md OB-07).
 */
export class Metrics {
  readonly #registry = new Registry()

  constructor(
    options: { readonly labels?: Record<string, string>; readonly process?: boolean } = {},
  ) {
    if (options.labels !== undefined) this.#registry.setDefaultLabels(options.labels)
    if (options.process === true) collectDefaultMetrics({ register: this.#registry })
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter(this.#named(name, help, labelNames))
  }

  gauge<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge(this.#named(name, help, labelNames))
  }

  /** A gauge that is asked for its value when somebody looks. */
  watch(name: string, help: string, value: () => number): void {
    void new Gauge({
      ...this.#named(name, help, []),
      collect() {
        this.set(value())
      },
    })
  }

  /** In seconds, from 50 us to 10 s. */
  durations<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    const buckets = [0.00005, 0.0002, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 10]
    return new Histogram({ ...this.#named(name, help, labelNames), buckets })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #named<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
  ): MetricConfiguration<L> {
    return { name: `conclave_${name}`, help, labelNames, registers: [this.#registry] }
  }
}
