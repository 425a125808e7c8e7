export { check, type Fault, type Rule } from './check.ts'
export { floors, layerOf, refusal, type Layer, type Type } from './floors.ts'
export { readRooms, type Manifest, type Room } from './rooms.ts'
