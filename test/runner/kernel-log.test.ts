import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseMemoryKill } from '#runner/kernel-log.ts'

const ID = 'e9d4c6331f9d'
const KILL =
  'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/machine.slice,'

describe('a line of the kernel’s log', () => {
  for (const [what, line, expected] of [
    [
      'a kill in a cgroup',
      `4,885,34415282494,-;${KILL}task_memcg=/machine.slice/dray-${ID}.scope,task=tail,pid=13612,uid=0\n`,
      { cgroup: `/machine.slice/dray-${ID}.scope`, atMs: 34415282.494 },
    ],
    [
      'a kill for the whole host, with more flags and words below',
      `6,12,1000,c,caller=T1;${KILL.replace('MEMCG', 'NONE')}task_memcg=/dray/${ID}\n SUBSYSTEM=x\n`,
      { cgroup: `/dray/${ID}`, atMs: 1 },
    ],
    ['what a process says', `4,1,5,-;tail: oom-kill of ${ID}\n`, undefined],
    [
      'the words for people',
      `3,886,5,-;Memory cgroup out of memory: Killed process 1\n`,
      undefined,
    ],
    ['nothing', '', undefined],
  ] as const) {
    it(`tells of ${what}`, () => assert.deepEqual(parseMemoryKill(line), expected))
  }
})
