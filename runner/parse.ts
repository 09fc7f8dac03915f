/** The parsers of what is typed to run a container. */
export { parseHealthFlags } from './health/parse.ts'
export { isCdiName, parseGpus } from './cdi/names.ts'
export { parseLogOptions } from './log/options.ts'
export { defaultNetwork } from './network/default.ts'
export { parseNetworks } from './network/attachments.ts'
export { parseExposed, parsePort, parsePublishBy } from './network/ports.ts'
export { parseRestartPolicy } from './options.ts'
export {
  parseBytes,
  parseCpus,
  parseCpuShares,
  parseMemory,
  parseMemorySwap,
  parsePidsLimit,
} from './size.ts'
export { parseDeviceRate, parseDeviceWeight, parseWeight } from './spec/block-io.ts'
export { parseCapability } from './spec/capabilities.ts'
export { parseDevice, parseDeviceRule } from './spec/devices.ts'
export { parseUlimit } from './spec/limits.ts'
export {
  parseCgroupParent,
  parseCpuset,
  parseEntrypoint,
  parseExtraHost,
  parseIpc,
  parseNameServer,
  parseResolverWord,
  parseSharedNamespace,
  parseSysctl,
} from './spec/parse.ts'
export { parseSecurityOptions } from './spec/security.ts'
export { parseUserNamespace } from './userns/parse.ts'
export {
  mergeMounts,
  parseMountFlag,
  parseTimeZone,
  parseTmpfsFlag,
  parseVolumeFlag,
} from './volumes/parse.ts'
