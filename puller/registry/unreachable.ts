import { DrayError, isDrayError } from '#oci/error.ts'

/** What is wrong with a certificate that TLS can't trust (node:tls, "X509 certificate error codes"), and what to do. */
const CERTIFICATE: Readonly<Record<string, (host: string) => string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: trust,
  SELF_SIGNED_CERT_IN_CHAIN: trust,
  UNABLE_TO_GET_ISSUER_CERT: trust,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: trust,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: trust,
  CERT_HAS_EXPIRED: () => 'it has to be renewed, unless the clock here is wrong',
  CERT_NOT_YET_VALID: () => 'the clock here, or where it was made, is wrong',
  ERR_TLS_CERT_ALTNAME_INVALID: () => 'call the registry by a name that the certificate has',
}

/** What OpenSSL says of an answer that isn't TLS. */
const NO_TLS = /wrong version number|packet length too long/i

/** Node's own, which is for those who start it. */
const NODES_ADVICE = /; if the root CA is installed locally, try running Node\.js with .*$/

function trust(host: string): string {
  return `where it is known to be right, put that of its CA into /etc/docker/certs.d/${host}/ca.crt, or ${host}/ca.crt of --cert-dir`
}

/**
 * What a broken connection is to the caller; retryable where the next one may be better. The query of the URL may hold a signature and
 * is left out.
 */
export function unreachable(url: URL, error: Error): DrayError {
  // What a proxy lacks is said already.
  if (isDrayError(error.cause)) return error.cause
  const code = 'code' in error ? String(error.code) : ''
  const message = error.message.replace(NODES_ADVICE, '')
  const why = code === '' ? message : `${message} (${code})`
  const mistake = mistakeOf(url, code, why)
  const says = mistake ?? `did not answer: ${why}. Check the host name, the port and the network`
  return new DrayError('REGISTRY_UNREACHABLE', `${url.origin} ${says}`, {
    cause: error,
    retryable: mistake === undefined,
  })
}

/** What is wrong with how a server is set up, or called, if that is it: trying again doesn't help. */
function mistakeOf(url: URL, code: string, why: string): string | undefined {
  const advice = CERTIFICATE[code]?.(url.host)
  if (advice !== undefined) return `has a certificate that can't be trusted: ${why}: ${advice}`
  if (NO_TLS.test(why)) return 'does not speak TLS: is that its port? --plain-http does without TLS'
  if (code === 'EMFILE' || code === 'ENFILE')
    return `was not asked: ${why}: raise the limit (ulimit -n), or do less at once`
  if (code === 'ERR_TOO_MANY_REDIRECTS')
    return 'leads round in circles: it is no registry, or a proxy before it is set up wrongly'
  return undefined
}
