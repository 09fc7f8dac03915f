import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ExecutionConfig } from '#oci/image-config.ts'
import { applyChange } from '#runner/verbs/commit.ts'

describe('a line of a Dockerfile', () => {
  for (const [line, expected] of [
    ['CMD ["a", "b"]', { Cmd: ['a', 'b'] }],
    ['cmd echo hi', { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
    ['ENTRYPOINT ["a"]', { Entrypoint: ['a'] }],
    ['ENV A=1 B="two words"', { Env: ['X=0', 'A=1', 'B=two words'] }],
    ['ENV X old form', { Env: ['X=old form'] }],
    ['LABEL a.b=c', { Labels: { 'a.b': 'c' } }],
    ['EXPOSE 80 53/udp', { ExposedPorts: { '80/tcp': {}, '53/udp': {} } }],
    ['VOLUME ["/a"]', { Volumes: { '/a': {} } }],
    ['USER app:app', { User: 'app:app' }],
    ['HEALTHCHECK --retries=2 CMD x', { Healthcheck: { Test: ['CMD-SHELL', 'x'], Retries: 2 } }],
    ['STOPSIGNAL QUIT', { StopSignal: 'QUIT' }],
    ['WORKDIR sub', { WorkingDir: '/srv/sub' }],
  ] as const) {
    it(`changes the config: ${line}`, () => {
      const config: ExecutionConfig = { Env: ['X=0'], WorkingDir: '/srv' }
      assert.deepEqual(applyChange(config, line), { ...config, ...expected })
    })
  }

  for (const line of [
    '',
    'CMD',
    'RUN x',
    'CMD ["a"',
    'ENV A',
    'EXPOSE http',
    'ENV A=1 B C=2',
    'STOPSIGNAL FOO',
  ]) {
    it(`is refused: ${JSON.stringify(line)}`, () => {
      assert.throws(() => applyChange({}, line), { code: 'USAGE' })
    })
  }
})
