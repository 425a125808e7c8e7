export { authorityOf, clusterId, identityOf } from './certificates.ts'
export { describePeerLink, type LinkParts, type Medium } from './peer-link.contract.ts'
