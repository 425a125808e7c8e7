import type { Listed } from './listed.ts'

/**
 * Where our Engine answers otherwise than the recorded one, and why it may. A difference that is not here
 * fails the suite, and so does an entry that nothing needs any more.
 */
export const listedDifferences: readonly Listed[] = [
  {
    exchange: /^\d+\.\d GET \S+\/distribution\//,
    path: /^status$/,
    reason:
      'the recorded Engine had no registry, and any error stands there; ours simulates the image, says its digest at once, and clients need no warning',
  },
  {
    exchange: /^\d+\.\d GET \S+\/exec\//,
    path: /^\.Pid$/,
    reason:
      'the recorded number is that of a process of the machine, and a program of a simulated container is none: 0 names nobody, where another number would be a stranger',
  },
  {
    exchange: /^6\.1 GET \S+\/containers\/json$/,
    path: /^\[0\]\.NetworkSettings$/,
    reason:
      'whoever recorded left out on which networks it is: every Engine says so, and clients take it for granted',
  },
  {
    exchange: /^9\.3 POST \S+\/start$/,
    path: /^\.1$/,
    reason:
      'ls of busybox, which was recorded, pads its columns to fixed widths; that of the simulated shell has them as wide as what is in them, as coreutils has it',
  },
  {
    exchange: /^error \d+ POST \/secrets\/create, 500 .*deadline exceeded$/,
    path: /^\.message$/,
    reason:
      'the recorded manager found out by waiting 20 s for its first write; ours knows before it has proposed that nobody leads, and says in those words what the recorded one says of every later write',
  },
]
