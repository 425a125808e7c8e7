export { main, type Surroundings } from './simulate.ts'
