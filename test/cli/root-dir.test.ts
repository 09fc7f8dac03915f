import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rootDir } from '#cli/root-dir.ts'

describe('rootDir', () => {
  it('is what was named, else the place for this user', () => {
    const table = [
      { option: '/x', env: { DRAY_ROOT: '/y' }, uid: 0, root: '/x' },
      { option: undefined, env: { DRAY_ROOT: '/y' }, uid: 0, root: '/y' },
      { option: undefined, env: {}, uid: 0, root: '/var/lib/dray' },
      {
        option: undefined,
        env: { XDG_DATA_HOME: '/home/u/data' },
        uid: 1000,
        root: '/home/u/data/dray',
      },
    ]
    for (const { option, env, uid, root } of table) assert.equal(rootDir(option, env, uid), root)
    assert.match(rootDir(undefined, {}, 1000), /\/\.local\/share\/dray$/)
    assert.equal(rootDir('relative', {}, 0), `${process.cwd()}/relative`)
  })
})
