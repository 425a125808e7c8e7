/*
 * What a process needs that is one master and nothing else: what agents and schedulers are made of would stay
 * in its memory, unused.
 */
export { collectAtRest } from '../process/collect-at-rest.ts'
export { engineOf, engineSettings } from '../process/engine-settings.ts'
export { memberSettings } from '../process/member-settings.ts'
export { runApp, thisProcess, type AppMember } from '../process/run-app.ts'
export {
  DockerTlsIncomplete,
  parseDockerHost,
  type DockerDoors,
  type DockerTls,
} from './docker-doors.ts'
export { isPeerWire, parsePeerWire } from './peer-wire.ts'
export { startMaster } from './start-master.ts'
