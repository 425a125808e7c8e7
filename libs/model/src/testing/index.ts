export { dice, nearly, type Draw, type NearlyOptions } from './nearly.ts'
