import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DrayError, isErrno } from '#oci/error.ts'

/** What TLS with one registry needs, in PEM. */
export interface Certificates {
  /** All that are trusted, those of the system included. Default: those. */
  readonly ca?: readonly string[]
  /** Who we are. */
  readonly cert?: Buffer
  readonly key?: Buffer
  /** False where any certificate will do. */
  readonly rejectUnauthorized?: false
}

/**
 * Reads certificates for a registry in docker's layout: in `<dir>/<host[:port]>`, each `*.crt` is one to trust, and
 * `*.cert` with the `*.key` of the same name is one to show. The first directory that has the registry counts.
 *
 * @throws CONFIG_INVALID when a certificate lacks its key, a key its certificate, or a file can't be read
 */
export async function readCertificates(
  directories: readonly string[],
  registry: string,
): Promise<Certificates | undefined> {
  for (const parent of directories) {
    const dir = join(parent, registry)
    const names = await namesIn(dir)
    if (names !== undefined) return await readAll(dir, names)
  }
  return undefined
}

/**
 * Reads certificates for a registry in a directory that was named: as {@link readCertificates}, or else, as podman and skopeo have it,
 * straight in the directory, for the registry that the command is about.
 *
 * @throws CONFIG_INVALID also when there is no such directory
 */
export async function readNamedCertificates(
  dir: string,
  registry: string,
  about: string | undefined,
): Promise<Certificates | undefined> {
  const names = await namesIn(dir)
  if (names === undefined)
    throw new DrayError('CONFIG_INVALID', `cannot read certificates in ${dir}: no such directory`)
  const own = await readCertificates([dir], registry)
  if (own !== undefined || registry !== about) return own
  const isOne = (name: string) => /\.(?:crt|cert|key)$/.test(name)
  return names.some(isOne) ? await readAll(dir, names) : undefined
}

async function namesIn(dir: string): Promise<string[] | undefined> {
  try {
    return (await readdir(dir)).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw unreadable(dir, error)
  }
}

async function readAll(dir: string, names: readonly string[]): Promise<Certificates> {
  const read = (name: string) =>
    readFile(join(dir, name)).catch((error: unknown) => {
      throw unreadable(join(dir, name), error)
    })
  const roots = names.filter((name) => name.endsWith('.crt'))
  const own = names.find((name) => name.endsWith('.cert'))
  const key = names.find((name) => name.endsWith('.key'))
  const wanted = own?.replace(/\.cert$/, '.key')
  if (wanted !== undefined && !names.includes(wanted)) throw alone(dir, own, wanted)
  if (own === undefined && key !== undefined) {
    throw alone(dir, key, key.replace(/\.key$/, '.cert'))
  }
  const added = await Promise.all(
    roots.map(async (name) => {
      const text = (await read(name)).toString('latin1')
      if (/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(text)) return text
      throw new DrayError('CONFIG_INVALID', `${join(dir, name)} holds no certificate in PEM`)
    }),
  )
  return {
    ...(added.length === 0 ? {} : { ca: [...(await trusted()), ...added] }),
    ...(own === undefined || wanted === undefined
      ? {}
      : { cert: await read(own), key: await read(wanted) }),
  }
}

function alone(dir: string, name: string | undefined, missing: string): DrayError {
  return new DrayError('CONFIG_INVALID', `${dir} has ${name}, but not ${missing} that goes with it`)
}

function unreadable(path: string, cause: unknown): DrayError {
  return new DrayError(
    'CONFIG_INVALID',
    `cannot read the certificates in ${path}: ${(cause as Error).message}`,
    { cause },
  )
}

/** The certificates that are trusted without any of ours. */
export async function trusted(): Promise<string[]> {
  const { getCACertificates } = await import('node:tls')
  return getCACertificates()
}
