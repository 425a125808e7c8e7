/*
 * The example's own test, which its readers copy: it must hold here as it would there.
 */
const example = new URL(
  '../../../examples/resolver-module/directory-resolver.test.ts',
  import.meta.url,
)
await import(example.href)
