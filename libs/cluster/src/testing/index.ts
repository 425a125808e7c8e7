export { DrivenCluster, frameworkIdOf, openOffers, type Stream } from './driven-cluster.ts'
