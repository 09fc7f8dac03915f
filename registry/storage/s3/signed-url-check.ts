import type { Bench } from './bench.ts'
import { createPresigner } from './presign.ts'

const TIMEOUT_MS = 10_000

/** Whether a client that is sent to the bucket gets what it asks for, by the way that clients take. */
export async function checkSignedUrls({ store, key, options }: Bench): Promise<string> {
  await store.put(key('signed'), Buffer.from('0123456789'))
  const presigner = createPresigner(options)
  try {
    const url = await presigner.sign(key('signed'))
    const { origin } = new URL(url)
    const whole = await read(url)
    const part = await read(url, { range: 'bytes=2-4' })
    if (whole !== '200 0123456789' || part !== '206 234') {
      throw new Error(
        `${origin} answers signed URLs with ${whole.slice(0, 100)}: correct s3.publicEndpoint, or leave s3.redirect off`,
      )
    }
    return `good at ${origin}, for ranges too`
  } finally {
    presigner.close()
  }
}

async function read(url: string, headers: Record<string, string> = {}): Promise<string> {
  const { origin } = new URL(url)
  try {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
    return `${answer.status} ${await answer.text()}`
  } catch (cause) {
    throw new Error(
      `${origin} can't be reached: correct s3.publicEndpoint, or leave s3.redirect off`,
      { cause },
    )
  }
}
