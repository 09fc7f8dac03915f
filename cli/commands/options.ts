import { type Command, InvalidArgumentError, Option } from 'commander'
import { parsePlatform, type Platform } from '#oci/platform.ts'
import { PROGRESS_MODES, type ProgressMode } from '../output/progress.ts'

export interface StoreOptions {
  readonly root?: string
}

export interface TransferOptions extends StoreOptions {
  readonly progress: ProgressMode
  readonly quiet?: true
  readonly plainHttp?: true
}

export function withStoreOptions(command: Command): Command {
  return command.option(
    '--root <dir>',
    'directory of the local store (default: /var/lib/dray, or $XDG_DATA_HOME/dray)',
  )
}

export function withTransferOptions(command: Command): Command {
  return withStoreOptions(command)
    .addOption(
      new Option('--progress <mode>', 'how progress is shown, on standard error')
        .choices([...PROGRESS_MODES])
        .default('auto'),
    )
    .option('-q, --quiet', 'print nothing but the digest')
    .option('--plain-http', 'speak HTTP without TLS (registries on this machine need no such flag)')
}

export function withPlatformOption(command: Command): Command {
  return command.option(
    '--platform <os/arch[/variant]>',
    'platform of the image (default: this machine)',
    platform,
  )
}

function platform(text: string): Platform {
  try {
    return parsePlatform(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}
