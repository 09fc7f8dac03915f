import { execFile } from 'node:child_process'
import { DrayError } from '#oci/error.ts'
import { findRuntime } from '../runtime.ts'

/** Runs lines of ip(8) in one process, up to the first that fails. @throws NETWORK_FAILED */
export async function ip(
  searchPath: string | undefined,
  args: readonly string[],
  lines: readonly string[],
): Promise<void> {
  await runScript('ip', 'iproute2', [...args, '-batch', '-'], lines.join('\n'), searchPath)
}

/** Runs a script of nft(8): all of it, or nothing. @throws NETWORK_FAILED */
export async function nft(searchPath: string | undefined, script: string): Promise<void> {
  await runScript('nft', 'nftables', ['-f', '-'], script, searchPath)
}

/** What nft(8) lists, in JSON. @throws NETWORK_FAILED */
export async function nftJson(
  searchPath: string | undefined,
  args: readonly string[],
): Promise<unknown> {
  return JSON.parse(await runScript('nft', 'nftables', ['-j', ...args], '', searchPath))
}

/** The table `filter` of iptables-legacy(8), in the words of iptables-save; undefined where that isn't installed. @throws NETWORK_FAILED */
export async function legacyRules(
  searchPath: string | undefined,
  family: 'ip' | 'ip6',
): Promise<string | undefined> {
  const program = `${family}tables-legacy-save`
  const found = findRuntime(program, searchPath)
  return found && (await runProgram(program, found.path, ['-t', 'filter']))
}

async function runScript(
  program: string,
  debianPackage: string,
  args: readonly string[],
  input: string,
  searchPath: string | undefined,
): Promise<string> {
  const found = findRuntime(program, searchPath)
  if (found === undefined) {
    const advice = `apt-get install ${debianPackage}, or use --network pasta, slirp4netns, host or none`
    throw new DrayError(
      'NETWORK_FAILED',
      `${program}, which sets up networks, is not installed: ${advice}`,
    )
  }
  return await runProgram(program, found.path, args, `${input}\n`)
}

function runProgram(
  name: string,
  path: string,
  args: readonly string[],
  input = '',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(path, [...args], (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new DrayError('NETWORK_FAILED', `${name}: ${stderr.trim() || error.message}`))
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
