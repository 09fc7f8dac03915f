import { DrayError } from '#oci/error.ts'
import type { ExecutionConfig } from '#oci/image-config.ts'
import { labelsOf } from '../containers/filter.ts'
import { type Container, readState } from '../containers/state.ts'
import { mergeEnvironment } from '../environment.ts'
import { mergedHealthcheck } from '../health/check.ts'
import { parseHealthInstruction } from '../health/parse.ts'
import { normalPath } from '../options.ts'
import { parseSignal } from '../signals.ts'
import { mountPointsOf } from './diff.ts'
import { pauseWhileAlive } from './pause.ts'

/** Paths of the upper directory that are no change of anybody's, relative to it. */
export function noChanges({ record }: Container): ReadonlySet<string> {
  return new Set([...mountPointsOf(record.options)].map((path) => path.slice(1)))
}

/** How an image made of a container runs: as the container does. Pure. */
export function committedConfig(container: Container): ExecutionConfig {
  const { options, rootfs } = container.record
  const config = rootfs.config.config ?? {}
  const ports = (options.exposedPorts ?? []).map((port) => [port, {}])
  return {
    ...config,
    Env: mergeEnvironment(config.Env ?? [], options.env ?? []),
    ...(options.entrypoint && { Entrypoint: options.entrypoint, Cmd: [] }),
    ...(options.command?.length && { Cmd: options.command }),
    ...(options.user !== undefined && { User: options.user }),
    ...(options.workdir !== undefined && { WorkingDir: options.workdir }),
    ...(options.stopSignal !== undefined && { StopSignal: options.stopSignal }),
    ...(options.health && { Healthcheck: mergedHealthcheck(config, options) }),
    ...(ports.length > 0 && {
      ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports) },
    }),
    Labels: labelsOf(container),
  }
}

/** Does something while a container that runs is paused, if it is not so already. It goes on even when this process is killed. */
export async function whilePaused<T>(container: Container, work: () => Promise<T>): Promise<T> {
  if (readState(container).status !== 'running') return await work()
  const resume = await pauseWhileAlive(container)
  try {
    return await work()
  } finally {
    await resume()
  }
}

/**
 * Applies a line of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR. Pure.
 *
 * @throws USAGE
 */
export function applyChange(config: ExecutionConfig, line: string): ExecutionConfig {
  const [, name = '', rest = ''] = /^\s*(\w+)\s+(.*\S)\s*$/s.exec(line) ?? []
  switch (name.toUpperCase()) {
    case 'CMD':
      return { ...config, Cmd: commandOf(rest) }
    case 'ENTRYPOINT':
      return { ...config, Entrypoint: commandOf(rest) }
    case 'ENV':
      return { ...config, Env: mergeEnvironment(config.Env ?? [], pairs(line, rest)) }
    case 'LABEL':
      return {
        ...config,
        Labels: { ...config.Labels, ...Object.fromEntries(pairs(line, rest).map(split)) },
      }
    case 'EXPOSE':
      return {
        ...config,
        ExposedPorts: { ...config.ExposedPorts, ...keys(rest.split(/\s+/).map(portOf)) },
      }
    case 'VOLUME':
      return {
        ...config,
        Volumes: { ...config.Volumes, ...keys(jsonList(rest) ?? rest.split(/\s+/)) },
      }
    case 'HEALTHCHECK':
      return { ...config, Healthcheck: parseHealthInstruction(rest) }
    case 'USER':
      return { ...config, User: rest }
    case 'STOPSIGNAL':
      parseSignal(rest)
      return { ...config, StopSignal: rest }
    case 'WORKDIR':
      return {
        ...config,
        WorkingDir: normalPath(rest.startsWith('/') ? rest : `${config.WorkingDir ?? ''}/${rest}`),
      }
    default:
      throw invalid(line)
  }
}

function commandOf(text: string): readonly string[] {
  return jsonList(text) ?? ['/bin/sh', '-c', text]
}

function jsonList(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const words: unknown = JSON.parse(text)
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words
  } catch {}
  throw invalid(text)
}

/** `A=1 B="two words"`, or the old form `A the rest`. */
function pairs(line: string, text: string): string[] {
  const pair = /([\w.\-/]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s"'\\]|\\.)*)(?:\s+|$)/y
  const found: string[] = []
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text)
    if (match === null) break
    found.push(`${match[1]}=${unquoted(match[2] ?? '')}`)
  }
  if (found.length > 0 && pair.lastIndex === text.length) return found
  const old = /^(\w+)\s+(.+)$/s.exec(text)
  if (old === null || text.includes('=')) throw invalid(line)
  return [`${old[1]}=${old[2]}`]
}

function unquoted(text: string): string {
  if (text.startsWith("'")) return text.slice(1, -1)
  const bare = text.startsWith('"') ? text.slice(1, -1) : text
  return bare.replace(/\\(.)/gs, '$1')
}

function split(pair: string): [string, string] {
  const equals = pair.indexOf('=')
  return [pair.slice(0, equals), pair.slice(equals + 1)]
}

function portOf(text: string): string {
  if (/^\d{1,5}(?:\/(?:tcp|udp))?$/.test(text)) return text.includes('/') ? text : `${text}/tcp`
  throw invalid(text)
}

function keys(names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, {}]))
}

function invalid(line: string): DrayError {
  const kinds =
    'CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR'
  return new DrayError(
    'USAGE',
    `cannot apply ${JSON.stringify(line)}: write a line of a Dockerfile with ${kinds}`,
  )
}
