import { Command, Option } from 'commander'
import type { Platform } from '#oci/platform.ts'
import { parseReference, parseRegistry, type Reference } from '#oci/reference.ts'
import type { RemoteOptions } from '#puller/index.ts'
import { forEachName } from '../containers.ts'
import { flagsOfAsking, withFlagsOfOthers } from '../flags-of-others.ts'
import { interruptible } from '../interrupt.ts'
import { print, say, writeTo } from '../output/print.ts'
import { printRows } from '../output/rows.ts'
import { registryAccess } from '../registry-access.ts'
import { type CredentialOptions, platform, withCredentialOptions, withExamples } from './options.ts'

interface AskOptions extends CredentialOptions {
  readonly platform?: Platform
}

interface ReferrersOptions extends AskOptions {
  readonly format?: string
  readonly quiet?: true
}

const IMAGE = '[registry/]name[:tag][@digest]'

/** Questions to registries, whose images stay where they are. */
export function remoteCommand(): Command {
  return new Command('remote')
    .description(
      'Look at what registries have, without pulling it: tags, manifest, config, digest, referrers, repositories; and rm',
    )
    .addCommand(tagsCommand())
    .addCommand(digestCommand())
    .addCommand(manifestCommand())
    .addCommand(configCommand())
    .addCommand(referrersCommand())
    .addCommand(repositoriesCommand())
    .addCommand(rmCommand())
}

function tagsCommand(): Command {
  const command = asking('tags')
    .description('List the tags of a repository, one a line')
    .argument('<repository>', '[registry/]name')
  return withExamples(command, [
    ['dray remote tags registry.example/team/app', 'all of them'],
    ['dray remote tags debian | sort -V | tail -1', 'the latest one'],
  ]).action(async (text: string, options: AskOptions, command: Command) => {
    const { listTags } = await import('#puller/index.ts')
    const { tag: _, digest: __, ...repository } = parseRemote(text)
    for (const tag of await ask(repository, options, command, listTags)) print(tag)
  })
}

function digestCommand(): Command {
  const command = withPlatform(asking('digest'))
    .description('Print the digest of an image, which no registry counts as a pull')
    .argument('<image>', IMAGE)
  return withExamples(command, [
    ['dray remote digest debian:12', 'what the tag means now'],
    ["dray inspect -f '{{.Id}}' debian:12", 'what it meant when it was pulled, to compare'],
  ]).action(async (text: string, options: AskOptions, command: Command) => {
    const { remoteDigest } = await import('#puller/index.ts')
    print(await ask(parseRemote(text), options, command, remoteDigest))
  })
}

function manifestCommand(): Command {
  const command = withPlatform(asking('manifest'))
    .description('Print the manifest or index of an image, byte for byte')
    .argument('<image>', IMAGE)
  return withExamples(command, [
    ['dray remote manifest debian:12 | jq .manifests[].platform', 'for which platforms it is'],
    ['dray remote manifest --platform linux/arm64 debian:12', 'that of one of them'],
  ]).action(async (text: string, options: AskOptions, command: Command) => {
    const { readRemote } = await import('#puller/index.ts')
    const { bytes } = await ask(parseRemote(text), options, command, readRemote)
    await writeTo(process.stdout, bytes)
  })
}

function configCommand(): Command {
  const command = withPlatform(asking('config'), 'this machine')
    .description('Print the config of an image, byte for byte')
    .argument('<image>', IMAGE)
  return withExamples(command, [
    ["dray remote config debian:12 | jq -r '.created, .config.Labels'", 'when it was made'],
  ]).action(async (text: string, options: AskOptions, command: Command) => {
    const { readRemoteConfig } = await import('#puller/index.ts')
    await writeTo(process.stdout, await ask(parseRemote(text), options, command, readRemoteConfig))
  })
}

function referrersCommand(): Command {
  const command = withPlatform(asking('referrers'))
    .description('List signatures, SBOMs and what else refers to an image; none of it is verified')
    .argument('<image>', IMAGE)
    .option('-q, --quiet', 'print digests only')
    .option('--format <format>', 'table, json (one object a line), or a Go template')
  return withExamples(command, [
    ['dray remote referrers registry.example/app:1', 'of all its platforms, too'],
    ["dray remote referrers --format '{{.ArtifactType}}' app:1 | grep -i sign", 'is it signed?'],
  ]).action(async (text: string, options: ReferrersOptions, command: Command) => {
    const { listRemoteReferrers } = await import('#puller/index.ts')
    const found = await ask(parseRemote(text), options, command, listRemoteReferrers)
    if (options.quiet) {
      for (const { digest } of found) print(digest)
      return
    }
    printRows(
      found.map(({ digest, artifactType, annotations, tag }) => ({
        Digest: digest,
        ArtifactType: artifactType ?? '',
        Tag: tag ?? '',
        Annotations: annotations,
      })),
      {
        format: options.format,
        columns: [
          ['DIGEST', 'Digest'],
          ['TYPE', 'ArtifactType'],
          ['TAG', 'Tag'],
        ],
      },
    )
  })
}

function repositoriesCommand(): Command {
  const command = asking('repositories')
    .description('List the repositories of a registry, if it shows them, one a line')
    .argument('<registry>', 'host[:port]')
  return withExamples(command, [
    ['dray remote repositories registry.example', 'its catalog'],
  ]).action(async (text: string, options: AskOptions, command: Command) => {
    const { listRepositories } = await import('#puller/index.ts')
    const registry = parseRegistry(text)
    const access = await accessFor(registry, options, command)
    for (const name of await interruptible((signal) =>
      listRepositories(registry, { ...access, signal }),
    ))
      print(name)
  })
}

function rmCommand(): Command {
  const command = asking('rm')
    .description('Remove tags from a registry; by a digest, a manifest with all its tags')
    .argument('<image...>', '[registry/]name:tag, or name@digest')
  return withExamples(command, [
    ['dray remote rm registry.example/team/app:old', 'if the registry removes tags'],
    [
      'dray remote rm registry.example/team/app@$(dray remote digest registry.example/team/app:old)',
      'all tags that mean the same, too',
    ],
  ]).action(async (texts: readonly string[], options: AskOptions, command: Command) => {
    const { removeRemote } = await import('#puller/index.ts')
    await forEachName(texts, async (text) => {
      await ask(parseRemote(text), options, command, removeRemote)
      return text
    })
  })
}

function asking(name: string): Command {
  return withFlagsOfOthers(withCredentialOptions(new Command(name)), ...flagsOfAsking())
}

function withPlatform(command: Command, otherwise = 'what the name stands for'): Command {
  const flags = '--platform <os/arch[/variant]>'
  return command.addOption(
    new Option(flags, `of an index, the manifest for it (default: ${otherwise})`).argParser(
      platform,
    ),
  )
}

function parseRemote(text: string): Reference {
  return parseReference(text.replace(/^docker:\/\//, ''))
}

async function ask<T>(
  reference: Reference,
  options: AskOptions,
  command: Command,
  question: (reference: Reference, options: RemoteOptions) => Promise<T>,
): Promise<T> {
  const access = await accessFor(reference.registry, options, command)
  return await interruptible((signal) =>
    question(reference, { ...access, platform: options.platform, signal }),
  )
}

async function accessFor(registry: string, options: AskOptions, command: Command) {
  const debug = command.optsWithGlobals().debug === true ? say : undefined
  return { ...(await registryAccess(options, registry)), debug }
}
