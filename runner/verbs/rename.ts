import { changeContainer } from '../containers/change.ts'
import { dropName, takeName } from '../containers/names.ts'
import type { Container } from '../containers/state.ts'
import { recordEvent } from '../events/record.ts'
import { writeRecord } from '../record.ts'

/** Gives a container another name. @throws NAME_TAKEN, USAGE, CONTAINER_STATE */
export async function renameContainer(
  root: string,
  container: Container,
  name: string,
): Promise<void> {
  await changeContainer(root, container, async (claim, record) => {
    takeName(root, record.id, name)
    await writeRecord(claim.paths, { ...record, name })
    dropName(root, record.id, record.name)
    recordEvent(root, { ...record, name }, 'rename', { oldName: record.name })
  })
}
