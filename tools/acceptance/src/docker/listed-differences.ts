import type { Listed } from './listed.ts'

/**
 * Where our Engine answers otherwise than the recorded one, and why it may. A difference that is not here
 * fails the suite, and so does an entry that nothing needs any more.
 */
export const listedDifferences: readonly Listed[] = [
  {
    exchange: /^\d+\.\d GET \S+\/distribution\//,
    path: /^status$/,
    reason: 'the recorded Engine had no registry, ours simulates the image and says its digest',
  },
  {
    exchange: /^\d+\.\d GET \S+\/exec\//,
    path: /^\.Pid$/,
    reason: 'a program beside a simulated one is no process, and its number inside is not told',
  },
  {
    exchange: /^6\.1 GET \S+\/containers\/json$/,
    path: /^\[0\]\.NetworkSettings$/,
    reason: 'newer Engines have it, and clients take it for granted',
  },
  {
    exchange: /^9\.3 POST \S+\/start$/,
    path: /^\.1$/,
    reason:
      'ls of the simulated shell has columns as wide as what is in them, and counts links otherwise',
  },
  {
    exchange: /^error \d+ POST \/secrets\/create, 500 .*deadline exceeded$/,
    path: /^\.message$/,
    reason: 'ours knows before it has proposed that nobody leads, and says so the first time too',
  },
]
