export { AeadKey, aes256Gcm, keySizeBytes, nonceSizeBytes, tagSizeBytes } from './aead-key.ts'
export {
  base64Alphabet,
  base64UrlAlphabet,
  fromBase64Bytes,
  toBase64Bytes,
} from './base64-bytes.ts'
export { box, boxContext, BoxKeyPair, createBoxKeyPair, openBox, type BoxPurpose } from './box.ts'
export { CryptographicFailure } from './cryptographic-failure.ts'
export {
  envelopeDekId,
  envelopeOverheadBytes,
  isEnvelope,
  openEnvelope,
  rewrapEnvelope,
  sealEnvelope,
  type EnvelopePlace,
} from './envelope.ts'
export {
  readExecutorToken,
  signExecutorToken,
  type ExecutorClaims,
  type ExecutorTokenVerdict,
} from './executor-token.ts'
export { equalSecrets, fingerprint, FingerprintKey } from './fingerprint.ts'
export {
  authorityDigest,
  authorityFingerprint,
  createJoinSecret,
  createJoinToken,
  formatJoinToken,
  isSameJoinToken,
  JoinTokenInvalid,
  parseJoinToken,
  pinsAuthority,
  type JoinToken,
} from './join-token.ts'
export { deriveKek, Kek, unwrapKey, unwrapKeyring, wrapKey, wrapKeyring } from './kek.ts'
export { Keyring, type Dek } from './keyring.ts'
export { agentNodeId, derivedObjectId, objectIdOf } from './object-id.ts'
export { hashPassword, passwordCost, verifyPassword, type PasswordCost } from './password.ts'
export {
  jwks,
  parseTokenKey,
  parseTokenPublicKey,
  signToken,
  verifyToken,
  type TokenClaims,
  type TokenJwk,
  type TokenKey,
  type TokenPublicKey,
} from './token.ts'
export {
  createUnlockKey,
  formatUnlockKey,
  parseUnlockKey,
  UnlockKeyMalformed,
} from './unlock-key.ts'
