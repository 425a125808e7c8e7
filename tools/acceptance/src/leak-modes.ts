/** With what a cluster is started to keep its values to itself, and to give them away as Mesos does. */
export const leakModes: readonly {
  readonly mode: string
  readonly flags: readonly string[]
  readonly leaks: boolean
}[] = [
  { mode: 'by default', flags: [], leaks: false },
  { mode: 'with --faithful-leaks', flags: ['--faithful-leaks'], leaks: true },
]
