import { COMMAND } from './command.ts'
import { compareWithPodman } from './compare.ts'
import { SURROUNDINGS } from './surroundings.ts'

compareWithPodman({ ...COMMAND, ...SURROUNDINGS })
