import { open } from 'node:fs/promises'

/** Makes what a file holds survive a power cut, or the names in a directory, such as those of a rename. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
