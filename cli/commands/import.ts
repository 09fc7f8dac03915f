import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { ExecutionConfig } from '#oci/image-config.ts'
import type { Platform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { interruptible } from '../interrupt.ts'
import { formatSize } from '../output/format.ts'
import { print } from '../output/print.ts'
import { openLocalStore } from '../store.ts'
import {
  type CompressionOptions,
  type StoreOptions,
  withCompressionOptions,
  withExamples,
  withPlatformOption,
  withStoreOptions,
} from './options.ts'

interface ImportOptions extends StoreOptions, CompressionOptions {
  readonly cmd?: string
  readonly entrypoint?: string
  readonly env: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly label: readonly string[]
  readonly platform?: Platform
  readonly quiet?: true
}

const collect = (value: string, before: readonly string[]) => [...before, value]

export function importCommand(): Command {
  const command = new Command('import')
    .description('Make an image of one layer from a root file system')
    .argument(
      '<source>',
      'a directory, a tar (plain, gzip, zstd, xz or bzip2), or - for a tar on standard input',
    )
    .argument('<image>', '[registry/]name[:tag]')
    .option('--cmd <command>', 'default command: a JSON list, or a line for /bin/sh -c')
    .option('--entrypoint <command>', 'entrypoint: a JSON list, or a line for /bin/sh -c')
    .option('-e, --env <K=V>', 'environment variable (repeatable)', collect, [])
    .option('-w, --workdir <dir>', 'working directory')
    .option('-u, --user <user[:group]>', 'user')
    .option('-l, --label <K=V>', 'label (repeatable)', collect, [])
    .option('-q, --quiet', 'print nothing but the digest')
  withCompressionOptions(command, 'the layer is')
  return withExamples(withStoreOptions(withPlatformOption(command)), [
    ['dray import rootfs.tar.gz debian:12', 'a tar'],
    [`dray import --cmd '["/app"]' -u 1000 build/ app:1`, 'a directory, and how it runs'],
  ]).action(importSource)
}

async function importSource(source: string, image: string, options: ImportOptions): Promise<void> {
  const { importImage, parseCompression } = await import('#puller/index.ts')
  const reference = parseReference(image)
  const execution = executionConfig(options)
  const compression = parseCompression(options.compressionFormat, options.compressionLevel)
  const store = await openLocalStore(options)
  const result = await interruptible((signal) =>
    importImage(store, source === '-' ? process.stdin : source, reference, {
      execution,
      compression,
      platform: options.platform,
      created: sourceDate(process.env.SOURCE_DATE_EPOCH),
      signal,
    }),
  )
  print(
    options.quiet
      ? result.digest
      : `${result.name}  ${result.digest}  layer of ${formatSize(result.size)}`,
  )
}

function executionConfig(options: ImportOptions): ExecutionConfig {
  for (const variable of options.env) keyAndValue('--env', variable)
  const labels = Object.fromEntries(options.label.map((label) => keyAndValue('--label', label)))
  return {
    ...(options.user === undefined ? {} : { User: options.user }),
    ...(options.env.length === 0 ? {} : { Env: options.env }),
    ...(options.entrypoint === undefined
      ? {}
      : { Entrypoint: parseCommand('--entrypoint', options.entrypoint) }),
    ...(options.cmd === undefined ? {} : { Cmd: parseCommand('--cmd', options.cmd) }),
    ...(options.workdir === undefined ? {} : { WorkingDir: absolute(options.workdir) }),
    ...(options.label.length === 0 ? {} : { Labels: labels }),
  }
}

/** Dockerfile's two forms of a command. */
function parseCommand(flag: string, text: string): string[] {
  if (!text.trimStart().startsWith('[')) return ['/bin/sh', '-c', text]
  try {
    const words: unknown = JSON.parse(text)
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words
  } catch {}
  throw new DrayError('USAGE', `${flag}: ${text} is no JSON list of strings`)
}

function keyAndValue(flag: string, text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)]
  throw new DrayError('USAGE', `${flag}: write NAME=VALUE, not ${JSON.stringify(text)}`)
}

function absolute(dir: string): string {
  if (dir.startsWith('/')) return dir
  throw new DrayError('USAGE', `--workdir: ${dir} must be an absolute path`)
}

/** Reproducible builds give the date of the source in seconds. */
function sourceDate(epoch: string | undefined): string | undefined {
  if (epoch === undefined) return undefined
  if (!/^[0-9]{1,11}$/.test(epoch))
    throw new DrayError('USAGE', `SOURCE_DATE_EPOCH must be seconds, not ${epoch}`)
  return new Date(Number(epoch) * 1000).toISOString().replace('.000Z', 'Z')
}
