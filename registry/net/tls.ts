import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { DrayError, errorMessage } from '#oci/error.ts'

export interface TlsConfig {
  /** File of the certificate, with those in between up to its CA. */
  readonly cert: string
  /** File of its private key. */
  readonly key: string
  /** File of the CAs whose certificates say who a client is. */
  readonly clientCa?: string | undefined
}

/** All that encrypt to a key of the moment, and authenticate what they encrypt (RFC 9325, section 4.2). */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')

/** What a TLS server needs, read from files and tried. @throws CONFIG_INVALID */
export function readTls(tls: TlsConfig): SecureContextOptions & { readonly cert: Buffer } {
  const { cert, key, clientCa } = tls
  const options = {
    cert: readPem('cert', cert),
    key: readPem('key', key),
    ca: clientCa === undefined ? undefined : readPem('clientCa', clientCa),
    minVersion: 'TLSv1.2' as const,
    ciphers: CIPHERS,
    honorCipherOrder: true,
  }
  try {
    createSecureContext(options)
  } catch (cause) {
    const why = `cannot use ${cert} with ${key} for TLS: ${errorMessage(cause)}`
    throw new DrayError('CONFIG_INVALID', why, { cause })
  }
  return options
}

/** All paths that a configuration names. */
export function tlsFiles({ cert, key, clientCa }: TlsConfig): string[] {
  return [cert, key, ...(clientCa === undefined ? [] : [clientCa])]
}

function readPem(name: keyof typeof HOLDS, path: string): Buffer {
  try {
    const pem = readFileSync(path)
    parsePem(name, pem)
    return pem
  } catch (cause) {
    const why = `cannot use ${path} as tls.${name}: ${errorMessage(cause)}`
    throw new DrayError('CONFIG_INVALID', why, { cause })
  }
}

const HOLDS = {
  cert: 'certificate',
  key: 'private key without a password',
  // Without one nobody would be trusted, and nobody told.
  clientCa: 'certificate',
}

function parsePem(name: keyof typeof HOLDS, pem: Buffer): void {
  try {
    if (name === 'key') createPrivateKey(pem)
    else new X509Certificate(pem)
  } catch (cause) {
    throw new Error(`it holds no ${HOLDS[name]} in PEM`, { cause })
  }
}
