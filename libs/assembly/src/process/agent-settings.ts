import { utf8Text } from '@conclave/kernel'
import {
  flagSetting,
  loadConfig,
  secretSetting,
  setting,
  type Config,
  type Sources,
} from '@conclave/runtime'
import { simulatedImagesModes } from '@conclave/simulated-images'
import { z } from 'zod'
import { usualResources, type MemberAgentOptions } from '../cluster/member-agent.ts'

/** What an agent can be told of itself, wherever it runs. */
export const agentSettings = {
  hostname: setting(
    z.string().max(255),
    "the host name that frameworks are shown; empty for the agent's own name",
    '',
  ),
  resources: setting(
    z.record(z.string().regex(/^[\w.-]+$/), z.number().nonnegative()),
    'what it offers: a JSON object of scalars by name',
    usualResources as Readonly<Record<string, number>>,
  ),
  modules: secretSetting(
    z.string(),
    'modules to load, in the JSON of Mesos: inline, file:///path or a path; empty for none',
    '',
  ),
  secretResolver: setting(
    z.string().min(1),
    'who answers references: store (the masters), default (nobody) or the name of a module',
    'store',
  ),
  imageProviders: setting(
    z.enum(['docker', 'none']),
    'docker to pull the images that tasks name; none to pull none',
    'none',
  ),
  simulatedImages: setting(
    z.enum(simulatedImagesModes),
    'which images are stand-ins of ours: known (busybox, alpine, nginx, redis, postgres, eon01/infinite), any (a generic one for every other name that nobody pulls), or off',
    'any',
  ),
  dockerRegistry: setting(
    z.url({ protocol: /^https?$/ }),
    'the registry of images whose name has none',
    'https://registry-1.docker.io',
  ),
  dockerConfig: secretSetting(
    z.string(),
    'credentials for registries that every task may use: docker config JSON, or an absolute path; empty for none',
    '',
  ),
  host: setting(
    z.string().min(1),
    'where it answers HTTP itself: an address of this machine alone',
    '127.0.0.1',
  ),
  port: setting(z.int().min(0).max(65_535), 'the port of that; 0 for any that is free', 5051),
  executors: setting(
    z.enum(['memory', 'process']),
    "where frameworks' own executors run: memory (simulated), or process (plain programs of this machine, isolated from nothing)",
    'memory',
  ),
  authenticateHttpExecutors: setting(
    z.boolean(),
    'whether executors have to show their tokens, true or false',
    true,
  ),
  faithfulLeaks: flagSetting(
    z.boolean(),
    'true to give values of secrets away wherever Mesos does, also in plain text on the disk: for lessons, with masters that were told so, and never with secrets that matter',
    false,
  ),
  fetcherRoots: setting(
    z.array(z.string().startsWith('/')).readonly(),
    'directories whose files tasks may have fetched by file: URIs, as absolute paths',
    [] as readonly string[],
  ),
  dockerContainerizer: setting(
    z.enum(['strict', 'faithful']),
    'what becomes of secrets in DOCKER containers: refused, or lost without a word as in Mesos',
    'strict',
  ),
} as const

/** Settings as an agent takes them. */
export const agentOptionsOf = ({
  hostname,
  resources,
  modules,
  secretResolver,
  imageProviders,
  dockerRegistry,
  dockerConfig,
  simulatedImages: simulated,
  host,
  port,
  executors,
  authenticateHttpExecutors: authenticateExecutors,
  faithfulLeaks,
  fetcherRoots,
  dockerContainerizer,
}: Config<typeof agentSettings>): Omit<MemberAgentOptions, 'directory' | 'masters'> => ({
  ...(hostname !== '' && { hostname }),
  resources,
  fetcherRoots,
  isDockerFaithful: dockerContainerizer === 'faithful',
  images: { provider: imageProviders, registry: dockerRegistry, dockerConfig, simulated },
  resolver: { name: secretResolver, modules: utf8Text(modules.reveal()) },
  listener: { host, port, executors, authenticateExecutors, faithfulLeaks, dockerConfig },
})

/**
 * Settings by field name, from text as a command line of ours gives them, or as a file would hold them.
 *
 * @throws ConfigInvalid
 */
export const readAgentSettings = async (
  given: Sources['flags'] = {},
): Promise<Config<typeof agentSettings>> =>
  (await loadConfig(agentSettings, { flags: given })).config
