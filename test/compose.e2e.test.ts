import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { tempDir } from './support/temp-dir.ts'

const ROOT = join(import.meta.dirname, '..')

/** Compose as a plugin of docker, and as the program that it was before. */
const COMPOSE = [['docker', 'compose'], ['docker-compose']] as const

describe('docker-compose.yml', () => {
  it('is accepted by docker compose, with two replicas of one definition', () => {
    const config = composeConfig({})
    for (const name of ['s3', 'bucket', 'registry-1', 'registry-2', 'balancer']) {
      assert.match(config, new RegExp(`^  ${name}:$`, 'm'))
    }
    assert.equal(serviceOf(config, 'registry-1'), serviceOf(config, 'registry-2'))
  })

  it('takes its keys and its address from the environment', () => {
    const config = composeConfig({ S3_ACCESS_KEY: 'ak', S3_SECRET_KEY: 'sk', LISTEN: '0.0.0.0:80' })
    assert.match(serviceOf(config, 's3'), /AWS_ACCESS_KEY_ID: ak/)
    assert.match(serviceOf(config, 'registry-2'), /AWS_SECRET_ACCESS_KEY: sk/)
    assert.doesNotMatch(config, /change-me/)
    assert.match(serviceOf(config, 'balancer'), /0\.0\.0\.0/)
  })

  it('mounts files that exist, and pins every image', () => {
    const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
    for (const [, file] of text.matchAll(/'\.\/([^:']+):/g)) {
      assert.ok(existsSync(join(ROOT, file ?? '')), file)
    }
    const images = [...text.matchAll(/^ +image: (\S+)$/gm)].map(([, image]) => image ?? '')
    assert.equal(images.length, 4)
    for (const image of images) assert.match(image, /:[0-9]+\.[0-9]+/, image)
  })
})

describe('dray-registry.service', () => {
  it('is a unit that systemd takes', (t) => {
    const text = readFileSync(join(ROOT, 'deploy/dray-registry.service'), 'utf8')
    const unit = join(tempDir(t), 'dray-registry.service')
    writeFileSync(unit, text.replace('/usr/local/bin/dray', join(ROOT, 'bin/dray')))
    const { ok, stderr } = run('systemd-analyze', ['verify', unit], {})
    assert.ok(ok && stderr === '', stderr)
  })
})

function composeConfig(env: Record<string, string>): string {
  const found = COMPOSE.find(([program, ...words]) => run(program, [...words, 'version'], {}).ok)
  assert.ok(found, 'no docker compose here: apt-get install docker-compose')
  const [program, ...words] = found
  const { ok, stdout, stderr } = run(program, [...words, '-f', 'docker-compose.yml', 'config'], env)
  assert.ok(ok, stderr)
  return stdout
}

/** What `config` prints of one service, without its name. */
function serviceOf(config: string, name: string): string {
  const [, body] = new RegExp(`^  ${name}:\\n((?:   .*\\n)+)`, 'm').exec(config) ?? []
  return body ?? assert.fail(`no service ${name}`)
}

function run(program: string, args: readonly string[], env: Record<string, string>) {
  const { PATH = '' } = process.env
  const result = spawnSync(program, args, {
    cwd: ROOT,
    env: { PATH, HOME: '/nonexistent', ...env },
    encoding: 'utf8',
  })
  return { ok: result.status === 0, stdout: result.stdout ?? '', stderr: result.stderr ?? '' }
}
