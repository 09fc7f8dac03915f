import { answerEmpty, type Context } from './context.ts'

/** A request that says so with the value `never` gets its bytes from the registry itself. */
const OPT_OUT = 'Dray-Redirect'

/** The one form of ranges on which every S3 server agrees. */
const PLAIN_RANGE = /^bytes=(?:[0-9]+-[0-9]*|-[0-9]+)$/

/**
 * Whether a request for a blob gets the same answer from the object that holds its bytes. Conditions don't: they are
 * about our entity tags. Nor do scripts in a browser, which may not follow to another origin.
 */
export function canBeRedirected(ctx: Context): boolean {
  if (ctx.method !== 'GET' || ctx.get(OPT_OUT).toLowerCase() === 'never') return false
  if (ctx.get('Origin') !== '' || ctx.get('Sec-Fetch-Mode') !== '') return false
  if (Object.keys(ctx.headers).some((name) => name.startsWith('if-'))) return false
  const range = ctx.get('Range')
  return range === '' || PLAIN_RANGE.test(range)
}

/** Sends the client to `url`, which is good for a while only. */
export function answerRedirect(ctx: Context, url: string): void {
  answerEmpty(ctx, 307)
  ctx.set('Location', url)
  ctx.set('Cache-Control', 'no-store')
}
