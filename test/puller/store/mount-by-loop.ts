/** Mounts an EROFS image from loop devices, and unmounts it, over and over, until it is killed. Prints a line before each time. */
import { writeSync } from 'node:fs'
import { mountLayerImage } from '#puller/layers/erofs/mount.ts'
import { unmountIdle } from '#puller/mounting.ts'

const [image = '', tar = '', target = ''] = process.argv.slice(2)

for (;;) {
  writeSync(1, '\n')
  mountLayerImage({ image, tar, target }, 'loop')
  unmountIdle(target)
}
