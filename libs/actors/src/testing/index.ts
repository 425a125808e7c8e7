export { FakeMaster, FakeSession } from './fake-master.ts'
