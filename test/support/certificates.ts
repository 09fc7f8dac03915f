import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate with its private key, both in PEM. */
export interface Certificate {
  readonly name: string
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  /** Alternative names by kind. */
  readonly dns?: readonly string[]
  readonly uri?: readonly string[]
  readonly email?: readonly string[]
  /** IPv4 addresses. */
  readonly ip?: readonly string[]
  /** Who signs it; itself if nobody else. */
  readonly ca?: Certificate
  /** Days until it ends; it has begun yesterday. */
  readonly days?: number
}

const DAY_MS = 86_400_000
const ECDSA_SHA256 = oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)
const COMMON_NAME = oid(0x55, 0x04, 0x03)
const ALT_NAMES = oid(0x55, 0x1d, 0x11)
const CONSTRAINTS = oid(0x55, 0x1d, 0x13)
const TRUE = Buffer.from([0x01, 0x01, 0xff])

/** Makes an X.509 certificate (RFC 5280) of a fresh P-256 key. One without alternative names is a CA. */
export function createCertificate(name: string, options: CertificateOptions = {}): Certificate {
  const { ca, days = 30 } = options
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const names = altNames(options)
  const extension =
    names.length === 0
      ? sequence(CONSTRAINTS, TRUE, der(0x04, sequence(TRUE)))
      : sequence(ALT_NAMES, der(0x04, sequence(...names)))
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    sequence(ECDSA_SHA256),
    distinguished(ca?.name ?? name),
    sequence(time(Date.now() - DAY_MS), time(Date.now() + days * DAY_MS)),
    distinguished(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  )
  const signer: KeyObject | string = ca?.key ?? privateKey
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', tbs, signer)]))
  const bytes = sequence(tbs, sequence(ECDSA_SHA256), signature)
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  }
}

function altNames({ dns = [], uri = [], email = [], ip = [] }: CertificateOptions): Buffer[] {
  return [
    ...email.map((text) => der(0x81, Buffer.from(text))),
    ...dns.map((text) => der(0x82, Buffer.from(text))),
    ...uri.map((text) => der(0x86, Buffer.from(text))),
    ...ip.map((text) => der(0x87, Buffer.from(text.split('.').map(Number)))),
  ]
}

function distinguished(name: string): Buffer {
  return sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(name)))))
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return der(0x17, Buffer.from(text.slice(2)))
}

function oid(...bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
