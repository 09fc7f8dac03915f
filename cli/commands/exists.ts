import { Command } from 'commander'
import type { ErrorCode } from '#oci/error.ts'
import { unlessGone } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

/** A thing that `exists` asks for. */
interface Thing {
  readonly kind: 'container' | 'image' | 'network' | 'volume'
  /** What it may be called. */
  readonly called: string
  readonly example: string
  /** What {@link find} throws where there is none. */
  readonly unknown: ErrorCode
  readonly find: (name: string, options: StoreOptions) => Promise<unknown>
}

/** The verb `exists` of a kind of thing, as podman has it. */
export function existsCommand({ kind, called, example, unknown, find }: Thing): Command {
  const article = kind === 'image' ? 'an' : 'a'
  const command = new Command('exists')
    .description(`Tell by the exit code whether there is ${article} ${kind}: 0, or else 1`)
    .argument(`<${kind}>`, called)
  return withExamples(withStoreOptions(command), [[example, 'unless it is there']]).action(
    async (name: string, options: StoreOptions) => {
      const found = await unlessGone(unknown, () => find(name, options))
      if (found === undefined) process.exitCode = 1
    },
  )
}
