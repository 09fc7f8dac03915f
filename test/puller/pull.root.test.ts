import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { type LayerStore, openStore, pullImage } from '#puller/index.ts'
import { type EntryHead, encodeHeader } from '#puller/tar/encode.ts'
import { serveImage } from '../support/blob-server.ts'
import { mergedTree } from '../support/merged-tree.ts'
import { smallImage } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

/** A tar of empty files and, where the name ends in a slash, directories of mode 0700 that belong to 1000:1000. */
function tarOfNames(...names: readonly string[]): Buffer {
  const headers = names.map((name) => {
    const isDirectory = name.endsWith('/')
    const head: EntryHead = {
      path: Buffer.from(name),
      type: isDirectory ? 'directory' : 'file',
      mode: isDirectory ? 0o700 : 0o644,
      uid: isDirectory ? 1000 : 0,
      gid: isDirectory ? 1000 : 0,
      size: 0,
      mtime: { seconds: 5, nanoseconds: 0 },
      linkPath: undefined,
      devMajor: 0,
      devMinor: 0,
      xattrs: new Map(),
    }
    return encodeHeader(head)
  })
  return Buffer.concat([...headers, Buffer.alloc(1024)])
}

/** Pulls an image of these layers and mounts what a container would see. */
async function pulledTree(
  t: TestContext,
  layerStore: LayerStore,
  ...tars: readonly Buffer[]
): Promise<string> {
  const server = await serveImage(t, smallImage(tars))
  const root = tempDir(t)
  const reference = `${server.host}/a:1`
  await pullImage(await openStore(root, { layerStore }), parseReference(reference), {
    platform: parsePlatform('linux/amd64'),
  })
  return await mergedTree(t, root, reference)
}

for (const form of ['dir', 'erofs'] as const) {
  describe(`the layers of a pulled image in a store of form ${form}, stacked`, () => {
    it('hide what whiteouts and opaque directories remove', async (t) => {
      const merged = await pulledTree(
        t,
        form,
        tarOfNames('dir/', 'dir/gone', 'dir/kept', 'old/', 'old/a', 'old/b'),
        tarOfNames('dir/', 'dir/.wh.gone', 'old/', 'old/.wh..wh..opq', 'old/c'),
      )
      assert.deepEqual(readdirSync(join(merged, 'dir')), ['kept'])
      assert.deepEqual(readdirSync(join(merged, 'old')), ['c'])
    })

    it('show nothing of a whiteout that has nothing to hide', async (t) => {
      const merged = await pulledTree(
        t,
        form,
        tarOfNames('a'),
        tarOfNames('new/', 'new/.wh.never', 'new/file'),
      )
      assert.deepEqual(readdirSync(join(merged, 'new')), ['file'])
    })

    it('keep the owner and mode of a directory that an upper layer only implies', async (t) => {
      const merged = await pulledTree(
        t,
        form,
        tarOfNames('home/', 'home/user/'),
        tarOfNames('home/user/file'),
      )
      const { mode, uid, mtimeMs } = statSync(join(merged, 'home/user'))
      assert.deepEqual([mode & 0o7777, uid, mtimeMs], [0o700, 1000, 5000])
    })

    it('end at a layer that hides everything below it', async (t) => {
      const merged = await pulledTree(
        t,
        form,
        tarOfNames('below'),
        tarOfNames('.wh..wh..opq', 'above'),
      )
      assert.deepEqual(readdirSync(merged), ['above'])
    })
  })
}
