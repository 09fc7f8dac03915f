import { COMMAND } from './command.ts'
import { LIFE } from './life.ts'
import { STATE } from './state.ts'
import { SURROUNDINGS } from './surroundings.ts'

/** Title and steps of each case, by area; see compatibility.e2e.test.ts for how they are read. */
export type Cases = Readonly<Record<string, readonly (readonly [title: string, script: string])[]>>

export const CASES: Cases = { ...COMMAND, ...SURROUNDINGS, ...LIFE, ...STATE }
