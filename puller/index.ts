/** The public face of the puller inside Dray: the library, and what only Dray's own program needs. */
export { type CheckOptions, checkStore, type Finding } from './check/check-store.ts'
export { type CommitOptions, commitImage } from './commit.ts'
export { type HeldElsewhere, heldElsewhere } from './copy/mounts.ts'
export { TOKEN_USER } from './credentials/credential.ts'
export { dockerConfigFile } from './credentials/find.ts'
export { forgetCredential, type KeptIn, keepCredential, registriesIn } from './credentials/keep.ts'
export { pushTarget } from './image/open-image.ts'
export { type Inflater, inflaterInUse } from './layers/inflater.ts'
export * from './library.ts'
export { type LoginResult, logIn } from './login.ts'
export { lowerPriority } from './low-priority.ts'
export { pruneImages } from './prune.ts'
export { type Certificates, readCertificates } from './registry/certificates.ts'
export { chooseLayerForm, type LayerFormChoice } from './store/layer-form.ts'
export { verityObstacle } from './store/layer-verity.ts'
export { unmountUnused } from './store/mounts.ts'
export {
  listRemoteReferrers,
  listRepositories,
  listTags,
  type RemoteOptions,
  type RemoteReferrer,
  readRemote,
  readRemoteConfig,
  remoteDigest,
  removeRemote,
} from './remote.ts'
export { removeFreeIngests } from './store/stale-ingests.ts'
export { measureImages, measureStore, type Usage } from './usage.ts'
