import type { ContainerOptions } from '#runner/options.ts'
import { openContainer, unlessGone } from './containers.ts'

/**
 * Removes the container, running or not, whose name a new one is to have. One that could not be made takes nobody's place.
 *
 * @throws USAGE
 */
export async function replaceNamed(root: string, settings: ContainerOptions): Promise<void> {
  const { name = '' } = settings
  const { checkOptions } = await import('#runner/options.ts')
  checkOptions(settings)
  const found = await unlessGone('CONTAINER_UNKNOWN', () => openContainer(root, name))
  if (found?.record.name !== name) return // it is another one's id that begins so
  const { removeContainer } = await import('#runner/verbs/remove.ts')
  await removeContainer(root, found, { force: true })
}
