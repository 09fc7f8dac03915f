import { COMMANDS } from './commands/index.ts'
import { main } from './program.ts'

await main(COMMANDS)
