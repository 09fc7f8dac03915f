import { DrayError } from '#oci/error.ts'
import type { RegistryConfig } from '../config.ts'
import { parseAddressSet } from '../net/addresses.ts'

const isLoopbackAddress = parseAddressSet(['127.0.0.0/8', '::1'])

/** Checks what must hold between keys. @throws CONFIG_INVALID */
export function checkConfig(config: RegistryConfig): void {
  checkExposure(config)
  checkKeys(config)
  if (config.tls?.requireClientCert && config.tls.clientCa === undefined) {
    throw new DrayError('CONFIG_INVALID', 'tls.requireClientCert needs tls.clientCa')
  }
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
  if (config.tls === undefined && !config.plainHttp) {
    throw new DrayError(
      'CONFIG_INVALID',
      `passwords and content would go to and from ${host} for everybody to read: configure tls, or listen on 127.0.0.1 behind ` +
        'a proxy that speaks it, or say plainHttp (--plain-http) if the network is safe',
    )
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host)
}
