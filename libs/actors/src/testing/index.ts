export { FakeLock } from './fake-lock.ts'
export { FakeMaster, FakeSession } from './fake-master.ts'
export { FakeWorkloads } from './fake-workloads.ts'
export { MemoryAgent, type AgentsPort } from './memory-agent.ts'
export { MemoryAudit } from './memory-audit.ts'
export { MemoryCertificates, memoryRootKeyText, memoryRootPem } from './memory-certificates.ts'
export {
  cheapPasswordHash,
  MemoryCluster,
  MemoryMaster,
  MemoryTokenKeys,
  type MemoryClusterOptions,
} from './memory-cluster.ts'
export { MemoryFramework } from './memory-framework.ts'
export { callerOf, firstPeople, rootPassword } from './people.ts'
export { describeLeftFiles, type LeftFilesUnderTest } from './left-files.contract.ts'
export { MemoryLeftFiles } from './memory-left-files.ts'
export { MemoryKeyKeeper } from './memory-key-keeper.ts'
export { MemoryMachine } from './memory-machine.ts'
export { MemoryScheduler } from './memory-scheduler.ts'
export { MemoryJournal } from './memory-journal.ts'
export { GroupMember, ReplicaGroup } from './replica-group.ts'
