/** Title and steps of each case, by area; see compare.ts for how they are read. */
export type Cases = Readonly<Record<string, readonly (readonly [title: string, script: string])[]>>
