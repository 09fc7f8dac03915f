import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

/** Runs GNU tar in the C locale, where it takes names as bytes. */
export function gnuTar(...args: readonly string[]): Buffer {
  return execFileSync('tar', args, {
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Archives the whole of `dir` as `./...` with GNU tar. */
export function gnuCreate(dir: string, ...options: readonly string[]): Buffer {
  return gnuTar('--create', '--directory', dir, '--file', '-', ...options, '.')
}

/** Extracts an archive into `dir`, which is made. */
export function gnuExtract(dir: string, tar: Buffer, ...options: readonly string[]): void {
  mkdirSync(dir)
  execFileSync(
    'tar',
    ['--extract', '--preserve-permissions', '--directory', dir, '--file', '-', ...options],
    {
      input: tar,
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
}
