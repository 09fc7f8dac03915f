/** The registry's public face: `parseConfig` or `loadConfig`, then `startRegistry`. */
export {
  type ConfigDocument,
  type ConfigSources,
  type ListenAddress,
  loadConfig,
  parseConfig,
  type RegistryConfig,
  type S3Config,
} from './config.ts'
export { ACTIONS, type Action, type Decision } from './auth/rules.ts'
export { explain, type Question } from './auth/explain.ts'
export { type Registry, type RegistryOptions, startRegistry } from './server.ts'
export type { Storage } from './storage/open-storage.ts'
