export { UriFetchFailed } from './errors.ts'
export { UriFetcher, type UriFetcherOptions } from './uri-fetcher.ts'
