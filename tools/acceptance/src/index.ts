export { Conclave, type Asking, type ConclaveOptions, type Master, type Ready } from './conclave.ts'
export { DockerEngine, type DockerEngineOptions } from './docker-engine.ts'
export { dockerPrograms } from './docker/docker-programs.ts'
export { EngineClient } from './docker/engine-client.ts'
export { unfurnished } from './docker/error-requests.ts'
export { furnish } from './docker/furnish.ts'
export { Identities } from './docker/identities.ts'
export { isExcused, verdictOf, type Listed } from './docker/listed.ts'
export { listedDifferences } from './docker/listed-differences.ts'
export { recordedCount } from './docker/recordings.ts'
export { replayErrors } from './docker/replay-errors.ts'
export { replayWalkthrough, type Replayed } from './docker/replay-walkthrough.ts'
export { keeperOf, whereValuesAre, type Keeper } from './docker/surfaces.ts'
export { Naming, parseTranscript, transcriptText, type Entry } from './docker/transcript.ts'
export { DockerCli } from './docker-cli.ts'
export { Framework, subscription, type TaskStatus } from './framework.ts'
export { Home } from './home.ts'
export { ImageRegistry } from './image-registry.ts'
export { leakModes } from './leak-modes.ts'
export { flipByte, journalFiles, tearTail, writtenLength } from './journal-files.ts'
export { Load, missingFrom } from './load.ts'
export { foundCluster, stranger, type Person } from './people.ts'
export {
  conclaveProgram,
  isAlive,
  Program,
  repository,
  runProgram,
  type Outcome,
  type ProgramOptions,
} from './program.ts'
export { installClient, loginGateway, mustHavePeers, portOf } from './npm-client.ts'
export { timesInMemory } from './process-memory.ts'
export { answerIn, sendRaw, sendThroughTls } from './raw-socket.ts'
export { inline, reference, resources, taskSpec, untilTerm, variable, volume } from './specs.ts'
export { answersOf, processFacts, type Subjects, type Surface } from './surfaces.ts'
export { until } from './until.ts'
