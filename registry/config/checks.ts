import { BlockList, isIP } from 'node:net'
import { DrayError } from '#oci/error.ts'
import type { RegistryConfig } from '../config.ts'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Checks what must hold between keys. @throws CONFIG_INVALID */
export function checkConfig(config: RegistryConfig): void {
  checkExposure(config)
  checkKeys(config)
}

function checkKeys({ readOnly, auth }: RegistryConfig): void {
  if (!readOnly || auth?.challenge !== 'bearer' || auth.tokenServer !== undefined) return
  if (auth.token.keys.length > 0) return
  throw new DrayError(
    'CONFIG_INVALID',
    'a registry that is readOnly cannot keep the keys of its tokens: name files in auth.token.keys',
  )
}

/**
 * A registry that others can reach knows who they are and encrypts what they say, unless its operator has said in so
 * many words that it need not.
 */
function checkExposure(config: RegistryConfig): void {
  const { host } = config.listen
  if (isLoopback(host)) return
  if (config.auth === undefined && !config.openToAnyone) {
    throw new DrayError(
      'CONFIG_INVALID',
      `whoever reaches ${host} could push, overwrite and delete: configure auth, or listen on 127.0.0.1, ` +
        'or say openToAnyone (--open-to-anyone) if that is what you want',
    )
  }
  if (!config.plainHttp) {
    throw new DrayError(
      'CONFIG_INVALID',
      `passwords and content would go to and from ${host} for everybody to read: listen on 127.0.0.1 behind a proxy ` +
        'that speaks TLS, or say plainHttp (--plain-http) if the network is safe',
    )
  }
}

function isLoopback(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host === 'localhost'
  return LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
