import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Command, type Option } from 'commander'
import { takeFlagForms } from '#cli/flag-forms.ts'
import { COMMANDS } from '#cli/commands/index.ts'
import { isDrayError } from '#oci/error.ts'

/** What a line sets, and what is left of it. */
async function parsed(make: () => Command, words: readonly string[]) {
  let args: readonly string[] = []
  const command = make()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  command.action(() => {
    args = command.args
  })
  takeFlagForms(command)
  await command.parseAsync([...words], { from: 'user' })
  return { options: command.opts(), args }
}

function runLike(): Command {
  const collect = (value: string, before: readonly string[]) => [...before, value]
  return new Command('run')
    .argument('<image>')
    .argument('[command...]')
    .passThroughOptions()
    .option('--rm')
    .option('-i, --interactive')
    .option('-t, --tty')
    .option('-d, --detach')
    .option('-p, --publish <port>', '', collect, [])
    .option('-e, --env <name>', '', collect, [])
    .option('--name <name>')
    .option('--time <seconds>')
    .option('--network <network>')
    .option('--pause', '', true)
    .option('--no-trunc')
}

const BEFORE = { publish: [], env: [], pause: true, trunc: true }

/** What docker and podman make of them. */
const LINES: readonly (readonly [line: string, options: object, args?: string])[] = [
  ['--rm', { rm: true }],
  ['--rm=true', { rm: true }],
  ['--rm=T', { rm: true }],
  ['--rm=1 -t=t', { rm: true, tty: true }],
  ['--rm=false', {}],
  ['--rm=FALSE --tty=False -d=f -i=0', {}],
  ['--rm --rm=false', {}],
  ['--rm=false --rm', { rm: true }],
  ['-it', { interactive: true, tty: true }],
  ['-itd=false', { interactive: true, tty: true }],
  ['-dt=0', { detach: true }],
  ['-it=true', { interactive: true, tty: true }],
  ['-itd --detach=0', { interactive: true, tty: true }],
  ['--pause=false', { pause: false }],
  ['--pause=false --pause', {}],
  ['--no-trunc=false', {}],
  ['--no-trunc=1', { trunc: false }],
  ['-p8080:80', { publish: ['8080:80'] }],
  ['-p=8080:80', { publish: ['8080:80'] }],
  ['-eFOO=bar -e=FOO=b', { env: ['FOO=bar', 'FOO=b'] }],
  ['-dp80 -itp 81', { detach: true, interactive: true, tty: true, publish: ['80', '81'] }],
  ['-e --rm=false', { env: ['--rm=false'] }],
  ['--env -d', { env: ['-d'] }],
  ['--name --rm=x', { name: '--rm=x' }],
  ['--name=a --name b', { name: 'b' }],
  ['--net host --timeout=3', { network: 'host', time: '3' }],
  ['--name=a=b', { name: 'a=b' }],
  ['--', {}],
  ['--rm', { rm: true }, 'image --rm=false -t=x -- -it'],
  ['', {}, 'image -- -d=x'],
]

const WRONG = ['--rm=maybe', '--rm=', '-d=yes', '-itd=2', '--no-trunc=tRUE', '--pause=no']

async function everyCommand(): Promise<[string, () => Promise<Command>][]> {
  const names = Object.keys(COMMANDS)
  const load = async (name: string) => (await COMMANDS[name]?.([name])) ?? new Command()
  const found = names.map(async (name): Promise<[string, () => Promise<Command>][]> => {
    const { commands } = await load(name)
    if (commands.length === 0) return [[name, () => load(name)]]
    return commands.map((part, at) => [
      `${name} ${part.name()}`,
      async () => (await load(name)).commands[at] as Command,
    ])
  })
  return (await Promise.all(found)).flat()
}

describe('the flags of a command', () => {
  for (const [line, options, args = 'image'] of LINES) {
    it(`are understood as docker does: ${line} ${args}`, async () => {
      const words = [...line.split(' ').filter(Boolean), ...args.split(' ')]
      const outcome = await parsed(runLike, words)
      assert.deepEqual(outcome, { options: { ...BEFORE, ...options }, args: args.split(' ') })
    })
  }

  for (const line of WRONG) {
    it(`are refused with other values than those of a boolean: ${line}`, async () => {
      const isTold = (error: unknown) =>
        isDrayError(error) && error.code === 'USAGE' && /: write true or false$/.test(error.message)
      await assert.rejects(parsed(runLike, [line, 'image']), isTold)
    })
  }

  it('may have values, each boolean of each command', async () => {
    let count = 0
    for (const [name, load] of await everyCommand()) {
      const { options } = await load()
      // Those of others that are refused have a preset value, so that they are seen.
      const isBoolean = (each: Option) =>
        !each.required && !each.optional && each.presetArg === undefined
      for (const option of options.filter(isBoolean)) {
        const flags = [option.long, option.short].filter((flag) => flag !== undefined)
        for (const flag of flags) {
          const valueAfter = async (word?: string) => {
            const command = await load()
            takeFlagForms(command)
            const { unknown } = command.parseOptions(word === undefined ? [] : [word])
            assert.deepEqual(unknown, [], `${name} ${word}`)
            return command.getOptionValue(option.attributeName()) ?? false
          }
          assert.equal(await valueAfter(`${flag}=true`), !option.negate, `${name} ${flag}=true`)
          assert.equal(await valueAfter(flag), !option.negate, `${name} ${flag}`)
          const off = option.negate ? await valueAfter() : false
          assert.equal(await valueAfter(`${flag}=0`), off, `${name} ${flag}=0`)
          count++
        }
      }
    }
    assert.ok(count > 80, `only ${count} flags`)
  })
})
