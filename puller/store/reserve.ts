import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '#oci/errno.ts'
import type { StoreLayout } from './layout.ts'

/** A new list of images and the stage of what goes take less, for some hundred images: as many files, and as many bytes. */
const FILES = 4
const FILE_SIZE = 64 * 1024

/** Keeps some room, so that things can be removed when the disk has no more of it. Where there is none it is left for later. */
export function keepReserve({ reserve }: StoreLayout): void {
  if (existsSync(join(reserve, String(FILES)))) return
  try {
    mkdirSync(reserve, { recursive: true, mode: 0o700 })
    // What is random takes its room on file systems that compress, too.
    for (let number = 1; number <= FILES; number++) {
      writeFileSync(join(reserve, String(number)), randomBytes(FILE_SIZE))
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    giveUpReserve({ reserve })
  }
}

/** Gives that room to a removal. Whoever opens the store next keeps it anew. */
export function giveUpReserve({ reserve }: Pick<StoreLayout, 'reserve'>): void {
  try {
    rmSync(reserve, { recursive: true, force: true })
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
  }
}
