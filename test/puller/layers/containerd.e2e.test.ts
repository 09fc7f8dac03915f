/** What containerd makes of layers that leave something to be understood, and what we do. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, pullImage } from '#puller/index.ts'
import { serveImage } from '../../support/blob-server.ts'
import {
  type Containerd,
  redated,
  startContainerd,
  treeByContainerd,
} from '../../support/containerd.ts'
import { mergedTree } from '../../support/merged-tree.ts'
import { smallImage } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { compareTrees, describeTree } from '../../support/tree.ts'
import { archive, directory, file, hardlink, member, pax } from '../tar/archive.ts'

const BASE = [
  directory('./'),
  directory('a/', 0o751),
  directory('a/b/', 0o700),
  file('a/f', 'first'),
  file('a/b/f', 'deep'),
  directory('c/', 0o755),
  file('c/f', 'c'),
]

const STARTED = new Date()
/** CAP_NET_RAW, permitted and effective, as vfs_cap_data of revision 2 has it. */
const PING = Buffer.from('0100000200200000000000000000000000000000', 'hex')

/** What lies on the base, one layer after the other. */
const UPPERS: Readonly<Record<string, readonly (readonly Buffer[])[]>> = {
  'files in directories that are implied': [[file('a/b/g', 'g'), file('c/g', 'g')]],
  'a whiteout of a file and one of a directory': [[file('a/.wh.f'), file('.wh.c')]],
  'a directory that hides what was in it': [
    [directory('a/', 0o711), file('a/.wh..wh..opq'), file('a/new')],
  ],
  'a directory that becomes a file, and a directory again': [
    [file('.wh.c'), file('c', 'now a file')],
    [file('.wh.c'), directory('c/', 0o777), file('c/h')],
  ],
  'a file that becomes a directory': [[member({ name: 'c/f/', type: '5', mode: 0o700 })]],
  'hard links within a layer, and to one that is written over': [
    [file('x', 'x'), member({ name: 'y', type: '1', link: 'x' })],
    [file('x', 'another')],
  ],
  'links of all kinds, devices and a fifo': [
    [
      member({ name: 's', type: '2', link: '/a/../nowhere' }),
      member({ name: 'null', type: '3', mode: 0o666, major: 1, minor: 3 }),
      member({ name: 'loop', type: '4', mode: 0o660, major: 7, minor: 0 }),
      member({ name: 'pipe', type: '6', mode: 0o640 }),
    ],
  ],
  'modes with setuid, setgid and sticky, and owners of all sizes': [
    [
      member({ name: 'su', mode: 0o4755, uid: 0, gid: 0 }, 'su'),
      member({ name: 'sg', mode: 0o2711, uid: 1000, gid: 65_534 }, 'sg'),
      member({ name: 'tmp/', type: '5', mode: 0o1777, uid: 2_000_000, gid: 3 }),
    ],
  ],
  'long names, and one that is no UTF-8': [
    [file('n'.repeat(99)), pax(['path', `c/${'m'.repeat(255)}`]), file('short'), file('caf\xe9')],
  ],
  'an extended attribute, and a capability': [
    [
      pax(['SCHILY.xattr.user.a', 'value'], ['SCHILY.xattr.security.capability', PING]),
      member({ name: 'ping', mode: 0o755 }, 'ping'),
    ],
  ],
  'a hard link to a file of a lower layer that is listed again': [
    [file('c/f', 'c'), hardlink('c/other', 'c/f')],
  ],
}

describe('a stack of layers', { timeout: 300_000 }, () => {
  let dir = ''
  let containerd: Containerd

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dray-test-'))
    containerd = await startContainerd(dir)
  })
  after(async () => {
    await containerd.end()
    rmSync(dir, { recursive: true, force: true })
  })

  for (const [what, uppers] of Object.entries(UPPERS)) {
    it(`becomes the tree that containerd makes: ${what}`, async (t) => {
      const layers = [BASE, ...uppers].map((parts) => archive(...parts))
      const server = await serveImage(t, smallImage(layers))
      const image = `${server.host}/a:1`
      const theirs = await treeByContainerd(containerd, image, join(tempDir(t), 'mnt'))
      for (const layerStore of ['dir', 'erofs'] as const) {
        const root = tempDir(t)
        const store = await openStore(root, { layerStore })
        await pullImage(store, parseReference(image), { platform: parsePlatform('linux/amd64') })
        const ours = describeTree(await mergedTree(t, root, image))
        assert.deepEqual(compareTrees(ours, redated(theirs, ours, STARTED)), [], layerStore)
      }
    })
  }
})
