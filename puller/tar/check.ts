import { createTarReader, type TarSink } from './reader.ts'

const IGNORE: TarSink = { entry: () => undefined, data: () => undefined, endEntry: () => undefined }

/** Passes a tar through unchanged and fails where it is no tar, or not a whole one. @throws TAR_INVALID */
export async function* checkedTar(tar: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const reader = createTarReader(IGNORE)
  for await (const chunk of tar) {
    reader.push(chunk)
    yield chunk
  }
  reader.end()
}
