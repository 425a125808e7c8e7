import { availableParallelism, release, totalmem } from 'node:os'
import type { Caller } from '@conclave/actors'
import { containersOf } from '../containers/container.ts'
import { hasMaster, simulatedImagesOf, type Engine } from '../engine.ts'
import { localImages } from '../images/local-images.ts'
import { countContainers } from './container-counts.ts'

/**
 * What `docker info` shows of the machine: its containers are those of the whole swarm, so its processors and
 * its memory are those of all agents, too. One that is no manager tells of itself. Source: docker-swarm.md objects.json, API 1.47 SystemInfo.
 */
export async function machineInfo(engine: Engine, caller: Caller): Promise<object> {
  return {
    ...countContainers(hasMaster(engine) ? await containersOf(engine, caller) : []),
    Images: (await localImages(engine, caller)).length,
    ...(await capacityOf(engine, caller)),
    ...alike,
    Labels: [`io.conclave.simulated-images=${simulatedImagesOf(engine)}`],
  }
}

async function capacityOf(
  engine: Engine,
  caller: Caller,
): Promise<{ readonly NCPU: number; readonly MemTotal: number }> {
  if (!hasMaster(engine)) return { NCPU: availableParallelism(), MemTotal: totalmem() }
  const agents = await engine.master.nodes.list(caller)
  const total = (name: string): number =>
    agents.reduce((sum, { resources }) => sum + (resources[name]?.total ?? 0), 0)
  return { NCPU: Math.floor(total('cpus')), MemTotal: Math.floor(total('mem') * 1024 * 1024) }
}

/** What is the same of every machine, since everything in it is simulated. */
const alike = {
  Driver: 'conclave',
  DriverStatus: null,
  Plugins: {
    Volume: [],
    Network: ['bridge', 'host', 'null', 'overlay'],
    Authorization: null,
    Log: ['json-file'],
  },
  MemoryLimit: false,
  SwapLimit: false,
  CpuCfsPeriod: false,
  CpuCfsQuota: false,
  CPUShares: false,
  CPUSet: false,
  PidsLimit: true,
  IPv4Forwarding: false,
  BridgeNfIptables: false,
  BridgeNfIp6tables: false,
  Debug: false,
  NFd: 0,
  OomKillDisable: false,
  NGoroutines: 0,
  NEventsListener: 0,
  LoggingDriver: 'json-file',
  CgroupDriver: 'none',
  CgroupVersion: '2',
  KernelVersion: release(),
  OperatingSystem: 'Conclave',
  OSVersion: '',
  OSType: 'linux',
  RegistryConfig: {
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: [], Secure: true, Official: true },
    },
    InsecureRegistryCIDRs: [],
    Mirrors: [],
  },
  IndexServerAddress: '',
  GenericResources: null,
  DockerRootDir: '',
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  ExperimentalBuild: false,
  Runtimes: { conclave: { path: '' } },
  DefaultRuntime: 'conclave',
  LiveRestoreEnabled: false,
  Isolation: '',
  InitBinary: '',
  ContainerdCommit: { ID: '', Expected: '' },
  RuncCommit: { ID: '', Expected: '' },
  InitCommit: { ID: '', Expected: '' },
  SecurityOptions: [],
  Warnings: [
    'WARNING: containers and images are simulated; this is Conclave, which shows how secrets travel',
  ],
} as const
