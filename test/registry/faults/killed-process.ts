/**
 * A process that makes one change on a data directory, and kills itself before the n-th step that changes something:
 * `node killed-process.ts <data directory> <number of the scenario> <n>`. Prints how many steps it took if it lived.
 */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { StatementSync } from 'node:sqlite'

type Method = (...args: unknown[]) => unknown

const [dataDir = '', scenario, at] = process.argv.slice(2)
let steps = 0

function counted(owner: object, names: readonly string[]): void {
  const methods = owner as Record<string, Method>
  for (const name of names) {
    const method = methods[name] as Method
    methods[name] = function (this: unknown, ...args) {
      steps++
      if (steps === Number(at)) process.kill(process.pid, 'SIGKILL')
      return method.apply(this, args)
    }
  }
}

// What our code imports by name is replaced, too, as long as it is imported afterwards.
const self = await fs.open(process.execPath)
counted(Object.getPrototypeOf(self), ['write', 'truncate'])
await self.close()
counted(fs, ['mkdir', 'rename', 'rm', 'rmdir', 'writeFile', 'truncate', 'unlink', 'link'])
syncBuiltinESMExports()
const { openFilesStorage } = await import('./files-storage.ts')
const { servicesOver } = await import('./audit.ts')
const { SCENARIOS } = await import('./scenarios.ts')

const storage = await openFilesStorage(dataDir)
counted(StatementSync.prototype, ['run'])
steps = 0
await SCENARIOS[Number(scenario)]?.change.run(servicesOver(storage))
process.stdout.write(String(steps))
