import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { findCdiEdits } from '#runner/cdi/find.ts'
import { isCdiName, parseGpus } from '#runner/cdi/names.ts'
import { type CdiSpec, parseCdiSpec, parseCdiYaml } from '#runner/cdi/parse.ts'
import { stringify } from 'yaml'
import { tempDir } from '../../support/temp-dir.ts'

const spec = (fields: object = {}) => ({
  cdiVersion: '0.6.0',
  kind: 'vendor.com/class',
  devices: [{ name: 'one', containerEdits: { env: ['ONE=1'] } }, { name: '2' }],
  containerEdits: { env: ['ALL=1'] },
  ...fields,
})

const FORMATS: Readonly<Record<string, (value: object) => Promise<CdiSpec>>> = {
  JSON: async (value) => parseCdiSpec(Buffer.from(JSON.stringify(value))),
  YAML: (value) => parseCdiYaml(Buffer.from(stringify(value, { version: '1.1' }))),
}

/** Directories with files, by their paths in it. */
function dirsWith(t: TestContext, files: Readonly<Record<string, object | string>>): string[] {
  const dirs = ['etc', 'run'].map((name) => join(tempDir(t), name))
  for (const dir of dirs) mkdirSync(dir)
  for (const [path, content] of Object.entries(files)) {
    const [dir = '', name = ''] = path.split('/')
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    writeFileSync(join(dirs[dir === 'etc' ? 0 : 1] ?? '', name), text)
  }
  return dirs
}

describe('the name of a device', () => {
  for (const text of [
    'vendor.com/class=name',
    'nvidia.com/gpu=0',
    'v/c=GPU-1:2.x_y',
    'a-b/c_d=e',
  ]) {
    it(`may be ${text}`, () => assert.equal(isCdiName(text), true))
  }
  for (const text of [
    '/dev/a/b=c',
    'vendor/class',
    'vendor=x',
    'v/c=',
    'v/c=-a',
    '1/c=a',
    'v/c=a b',
  ]) {
    it(`is not ${text}`, () => assert.equal(isCdiName(text), false))
  }

  it('of a GPU is all, a count of them, or their own', () => {
    assert.deepEqual(parseGpus('all'), ['nvidia.com/gpu=all'])
    assert.deepEqual(parseGpus('2'), ['nvidia.com/gpu=0', 'nvidia.com/gpu=1'])
    assert.deepEqual(parseGpus('"device=0,GPU-ab"'), ['nvidia.com/gpu=0', 'nvidia.com/gpu=GPU-ab'])
    assert.throws(() => parseGpus('some'), { code: 'USAGE' })
  })
})

for (const [format, parse] of Object.entries(FORMATS))
  describe(`a CDI file in ${format}`, () => {
    it('may have everything that a version of the specification has', async () => {
      const edits = {
        env: ['A=1'],
        deviceNodes: [
          {
            path: '/dev/x',
            hostPath: '/dev/null',
            type: 'c',
            major: 1,
            minor: 3,
            permissions: 'rw',
          },
        ],
        mounts: [{ hostPath: '/a', containerPath: '/b', options: ['ro', 'bind'], type: 'none' }],
        hooks: [
          {
            hookName: 'createContainer',
            path: '/bin/true',
            args: ['true'],
            env: ['B=2'],
            timeout: 5,
          },
        ],
        additionalGids: [7],
      }
      const annotations = { key: 'value' }
      for (const cdiVersion of ['0.3.0', '0.8.0', '1.0.0', '1.1.0']) {
        const parsed = await parse(spec({ cdiVersion, annotations, containerEdits: edits }))
        assert.deepEqual(parsed.containerEdits?.additionalGids, [7])
      }
    })

    const wrong: readonly (readonly [string, object])[] = [
      ['a version that nobody knows', { cdiVersion: '9.0.0' }],
      ['a kind without a vendor', { kind: 'class' }],
      ['a field that would change nothing', { containerEdits: { intelRdt: {} } }],
      [
        'a hook at no point of the runtime spec',
        { containerEdits: { hooks: [{ hookName: 'x', path: '/a' }] } },
      ],
      [
        'a hook that is no absolute path',
        { containerEdits: { hooks: [{ hookName: 'poststop', path: 'a' }] } },
      ],
      ['a variable without a value', { containerEdits: { env: ['A'] } }],
      ['a device with a path for a name', { devices: [{ name: '../x' }] }],
      ['a device node beside /', { containerEdits: { deviceNodes: [{ path: 'dev/x' }] } }],
    ]
    for (const [what, fields] of wrong) {
      it(`is refused for ${what}`, async () => {
        await assert.rejects(parse(spec(fields)), { code: 'CDI_INVALID' })
      })
    }
  })

describe('a CDI file in YAML', () => {
  it('is read as vendors write it', async () => {
    const text = `---
cdiVersion: 0.5.0
kind: vendor.com/class
devices:
- name: "0"
  containerEdits: &edits
    deviceNodes:
    - path: /dev/x
      fileMode: 0666
- name: all
  containerEdits: *edits
`
    const { devices } = await parseCdiYaml(Buffer.from(text))
    assert.deepEqual(
      devices.map(({ name, containerEdits }) => [name, containerEdits?.deviceNodes?.[0]?.fileMode]),
      [
        ['0', 0o666],
        ['all', 0o666],
      ],
    )
  })

  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]
${['b', 'c', 'd', 'e', 'f'].map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcde'[at]}`)}]`).join('\n')}`
  for (const [what, text] of [
    ['what is no YAML', 'kind: ['],
    ['a name twice', 'kind: a/b\nkind: a/c'],
    ['two documents', 'kind: a/b\n---\nkind: a/c'],
    ['references that multiply', bomb],
    ['nothing', ''],
    ['more than anybody needs', ' '.repeat(5 * 1024 * 1024)],
  ] as const) {
    it(`is refused for ${what}`, async () => {
      await assert.rejects(parseCdiYaml(Buffer.from(text)), { code: 'CDI_INVALID' })
    })
  }
})

describe('devices of vendors', () => {
  it('bring what all of their file need once, and then their own', async (t) => {
    const dirs = dirsWith(t, { 'etc/a.json': spec() })
    const names = ['vendor.com/class=one', 'vendor.com/class=2', 'vendor.com/class=one']
    assert.deepEqual(
      (await findCdiEdits(names, dirs)).map(({ env }) => env),
      [['ALL=1'], ['ONE=1']],
    )
  })

  it('of /var/run/cdi win over those of /etc/cdi', async (t) => {
    const newer = {
      devices: [{ name: 'one', containerEdits: { env: ['NEW=1'] } }],
      containerEdits: {},
    }
    const dirs = dirsWith(t, { 'etc/a.yaml': stringify(spec()), 'run/b.json': spec(newer) })
    assert.deepEqual((await findCdiEdits(['vendor.com/class=one'], dirs)).at(-1)?.env, ['NEW=1'])
    assert.deepEqual((await findCdiEdits(['vendor.com/class=2'], dirs))[0]?.env, ['ALL=1'])
  })

  it('that are in two files of one directory are refused', async (t) => {
    const dirs = dirsWith(t, { 'etc/a.json': spec(), 'etc/b.json': spec() })
    await assert.rejects(findCdiEdits(['vendor.com/class=one'], dirs), {
      code: 'CDI_UNKNOWN',
      message: /a\.json and in .*b\.json/,
    })
  })

  it('that nobody knows are told from those that there are, and from files that are no use', async (t) => {
    const dirs = dirsWith(t, { 'etc/a.json': spec(), 'etc/b.yaml': 'kind: x/y', 'run/c.json': '{' })
    await assert.rejects(findCdiEdits(['vendor.com/class=3'], dirs), {
      code: 'CDI_UNKNOWN',
      message: /There are: vendor\.com\/class=2, vendor\.com\/class=one.*b\.yaml.*c\.json/s,
    })
    await assert.rejects(findCdiEdits(['a/b=c'], []), { code: 'CDI_UNKNOWN', message: /have none/ })
  })
})
