import { closeSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import { DrayError } from '#oci/error.ts'
import { O_PATH } from '../../sys.ts'
import { formatPort } from '../ports.ts'
import type { PortMapping } from '../model.ts'
import { slirpRequest } from './programs.ts'

/**
 * Has slirp4netns publish ports.
 *
 * @param dir where its socket is; the path of a socket must be short, so that it goes by a descriptor
 * @throws NETWORK_FAILED
 */
export async function publishBySlirp(
  dir: string,
  socket: string,
  ports: readonly PortMapping[],
): Promise<void> {
  if (ports.length === 0) return
  const fd = openSync(dir, O_PATH)
  try {
    for (const port of ports) {
      const answer = await ask(`/proc/self/fd/${fd}/${socket}`, slirpRequest(port))
      if (/"return"/.test(answer)) continue
      const message = `slirp4netns cannot publish ${formatPort(port)}: ${answer.trim()}`
      throw new DrayError('NETWORK_FAILED', message)
    }
  } finally {
    closeSync(fd)
  }
}

/** One question a connection. */
async function ask(path: string, question: string): Promise<string> {
  const socket = connect(path)
  socket.end(question)
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  return answer
}
