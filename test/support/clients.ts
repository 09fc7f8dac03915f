import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A program that pushes images and pulls them. */
export interface Client {
  readonly name: string
  /** Pushes the image as this client makes it of an OCI image layout, and forgets it. */
  push(layout: string, reference: string): Promise<void>
  /** Pulls an image, which the client must not have yet, and returns the digest that it has then. */
  pull(reference: string): Promise<string>
  /** Pushes under another name what was pulled. */
  pushAgain(reference: string, other: string): Promise<void>
}

export interface ClientPlaces {
  /** An empty directory for everything that clients keep. */
  readonly dir: string
  readonly dockerSocket: string
  readonly containerdSocket: string
  /** For containerd, which remembers no log-in: `name:password`. */
  readonly user?: string
}

const execute = promisify(execFile)

/**
 * Runs a program with no settings of this machine's user, and returns its output. Each has a home of its own: those of
 * one family remember there which layers a registry holds, and would put another one's form of a layer into an image.
 */
export async function runClient(
  dir: string,
  program: string,
  ...args: readonly string[]
): Promise<string> {
  const env = {
    ...process.env,
    HOME: join(dir, `home-${program}`),
    XDG_RUNTIME_DIR: dir,
    DOCKER_CONFIG: undefined,
  }
  const { stdout } = await execute(program, [...args], { env, maxBuffer: 1 << 26 })
  return stdout.trim()
}

/** All clients that are tested. */
export function clientsIn({ dir, dockerSocket, containerdSocket, user }: ClientPlaces): Client[] {
  const run = (program: string, ...args: readonly string[]) => runClient(dir, program, ...args)
  const place = (name: string) => join(dir, name)
  return [
    dockerClient(dir, dockerSocket, run),
    containerdClient({ dir, socket: containerdSocket, user }, run),
    storageClient('podman', dir, run),
    storageClient('buildah', dir, run),
    {
      name: 'skopeo',
      async push(layout, reference) {
        await run('skopeo', 'copy', ...PLAIN_TO, `oci:${layout}:latest`, `docker://${reference}`)
      },
      async pull(reference) {
        const to = `oci:${place('skopeo')}:latest`
        await run('skopeo', 'copy', '--src-tls-verify=false', `docker://${reference}`, to)
        return topDigest(place('skopeo'))
      },
      async pushAgain(_, other) {
        await run(
          'skopeo',
          'copy',
          ...PLAIN_TO,
          `oci:${place('skopeo')}:latest`,
          `docker://${other}`,
        )
      },
    },
    {
      name: 'crane',
      async push(layout, reference) {
        await run('crane', 'push', layout, reference)
      },
      async pull(reference) {
        await run('crane', 'pull', '--format=oci', reference, place('crane'))
        return topDigest(place('crane'))
      },
      async pushAgain(_, other) {
        await run('crane', 'push', place('crane'), other)
      },
    },
    {
      name: 'oras',
      async push(layout, reference) {
        const from = ['--from-oci-layout', `${layout}:latest`]
        await run('oras', 'cp', ...from, '--to-plain-http', reference)
      },
      async pull(reference) {
        const to = ['--to-oci-layout', `${place('oras')}:latest`]
        await run('oras', 'cp', '--from-plain-http', reference, ...to)
        return topDigest(place('oras'))
      },
      async pushAgain(_, other) {
        const from = ['--from-oci-layout', `${place('oras')}:latest`]
        await run('oras', 'cp', ...from, '--to-plain-http', other)
      },
    },
  ]
}

type Run = (program: string, ...args: readonly string[]) => Promise<string>

const PLAIN_TO = ['--dest-tls-verify=false']

function topDigest(layout: string): string {
  return JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests[0].digest
}

/** Docker makes a manifest of its own format. */
function dockerClient(dir: string, socket: string, run: Run): Client {
  const docker = (...args: readonly string[]) => run('docker', '-H', `unix://${socket}`, ...args)
  return {
    name: 'docker',
    async push(layout, reference) {
      const archive = join(dir, `${reference.replaceAll(/\W/g, '-')}.tar`)
      await run('skopeo', 'copy', `oci:${layout}:latest`, `docker-archive:${archive}:${reference}`)
      await docker('load', '--quiet', '--input', archive)
      await docker('push', '--quiet', reference)
      await docker('rmi', reference)
    },
    async pull(reference) {
      await docker('pull', '--quiet', reference)
      const digests = await docker(
        'image',
        'inspect',
        '--format',
        '{{json .RepoDigests}}',
        reference,
      )
      return JSON.parse(digests)[0].split('@')[1]
    },
    async pushAgain(reference, other) {
      await docker('tag', reference, other)
      await docker('push', '--quiet', other)
      await docker('rmi', reference, other)
    },
  }
}

interface ContainerdPlaces {
  readonly dir: string
  readonly socket: string
  readonly user: string | undefined
}

function containerdClient({ dir, socket, user }: ContainerdPlaces, run: Run): Client {
  const plain = ['--plain-http', ...(user === undefined ? [] : ['--user', user])]
  const images = (...args: readonly string[]) => run('ctr', '--address', socket, 'images', ...args)
  return {
    name: 'ctr',
    async push(layout, reference) {
      const archive = join(dir, `${reference.replaceAll(/\W/g, '-')}.tar`)
      await run('skopeo', 'copy', `oci:${layout}:latest`, `oci-archive:${archive}:${reference}`)
      await images('import', '--no-unpack', archive)
      await images('push', ...plain, reference)
      await images('rm', '--sync', reference)
    },
    async pull(reference) {
      await images('pull', ...plain, '--snapshotter', 'native', reference)
      const [, line = ''] = (await images('ls', `name==${reference}`)).split('\n')
      return line.split(/\s+/)[2] ?? ''
    },
    async pushAgain(reference, other) {
      await images('tag', reference, other)
      await images('push', ...plain, other)
      await images('rm', '--sync', reference, other)
    },
  }
}

/** Podman and Buildah unpack what they get, and pack it again. */
function storageClient(program: 'podman' | 'buildah', dir: string, run: Run): Client {
  const places = [`--root=${join(dir, program)}`, `--runroot=${join(dir, `${program}-run`)}`]
  const command = (...args: readonly string[]) =>
    run(program, ...places, '--storage-driver=vfs', ...args)
  return {
    name: program,
    async push(layout, reference) {
      const id = await command('pull', '--quiet', `oci:${layout}:latest`)
      await command('push', '--quiet', '--tls-verify=false', id, `docker://${reference}`)
      await command('rmi', '--force', id)
    },
    async pull(reference) {
      await command('pull', '--quiet', '--tls-verify=false', reference)
      const digest = await command('images', '--no-trunc', '--format', '{{.Digest}}', reference)
      return digest
    },
    async pushAgain(reference, other) {
      await command('push', '--quiet', '--tls-verify=false', reference, `docker://${other}`)
      await command('rmi', '--force', reference)
    },
  }
}
