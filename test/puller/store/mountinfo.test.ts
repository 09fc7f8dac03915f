import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseOverlays } from '#puller/store/mountinfo.ts'

describe('the overlays of mountinfo', () => {
  it('are told with where they are mounted and what they are made of, spaces included', () => {
    const text = [
      '26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
      '62 26 0:40 / /srv/a\\040b rw,relatime - overlay none rw,lowerdir+=/x\\040y,lowerdir+=/z,upperdir=/u',
      'no line of mountinfo',
      '63 26 0:41 / /m ro - erofs /image ro,user_xattr',
      '',
    ].join('\n')
    assert.deepEqual(parseOverlays(text), [
      { mountPoint: '/srv/a b', options: 'rw,lowerdir+=/x y,lowerdir+=/z,upperdir=/u' },
    ])
  })
})
