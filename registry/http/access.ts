import type Router from '@koa/router'
import type { Middleware } from 'koa'
import type { Action } from '../auth/rules.ts'
import type { Context } from './context.ts'
import type { Guard } from './guard.ts'
import { PATHS } from './paths.ts'

/**
 * What a request needs before its route runs: an action on the repository of its path; to have logged in, for `user`;
 * for `catalog` that there can be anything to list; for `open` nothing.
 */
export type Requirement = Exclude<Action, 'overwrite' | 'list'> | 'user' | 'catalog' | 'open'

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

interface Endpoint {
  readonly path: RegExp
  readonly needs: Readonly<Partial<Record<Method, Requirement>>>
}

/** Every endpoint of the registry, with what each of its methods needs. `HEAD` goes with `GET`. */
export const ENDPOINTS: readonly Endpoint[] = [
  { path: PATHS.version, needs: { GET: 'user' } },
  { path: PATHS.catalog, needs: { GET: 'catalog' } },
  { path: PATHS.tags, needs: { GET: 'pull' } },
  { path: PATHS.referrers, needs: { GET: 'pull' } },
  { path: PATHS.manifest, needs: { GET: 'pull', PUT: 'push', DELETE: 'delete' } },
  { path: PATHS.blob, needs: { GET: 'pull', DELETE: 'delete' } },
  { path: PATHS.uploads, needs: { POST: 'push' } },
  { path: PATHS.upload, needs: { GET: 'push', PATCH: 'push', PUT: 'push', DELETE: 'push' } },
  // Who asks for a token shows there who they are.
  { path: PATHS.token, needs: { GET: 'open', POST: 'open' } },
  { path: PATHS.keys, needs: { GET: 'open' } },
]

export type Handler = (ctx: Context) => unknown

/** Where routes are added. None can be added that the table of endpoints lacks. */
export interface Routes {
  get(path: RegExp, handler: Handler): void
  put(path: RegExp, handler: Handler): void
  post(path: RegExp, handler: Handler): void
  patch(path: RegExp, handler: Handler): void
  delete(path: RegExp, handler: Handler): void
}

/** Lets each request reach its route only if it may. */
export function guardRoutes(router: Router, guard: Guard): Routes {
  const guarded = (method: Method, path: RegExp, handler: Handler): Middleware => {
    const requirement = requirementOf(method, path)
    return (ctx) => guard(ctx as Context, requirement, handler)
  }
  return {
    get: (path, handler) => void router.get(path, guarded('GET', path, handler)),
    put: (path, handler) => void router.put(path, guarded('PUT', path, handler)),
    post: (path, handler) => void router.post(path, guarded('POST', path, handler)),
    patch: (path, handler) => void router.patch(path, guarded('PATCH', path, handler)),
    delete: (path, handler) => void router.delete(path, guarded('DELETE', path, handler)),
  }
}

function requirementOf(method: Method, path: RegExp): Requirement {
  const needs = ENDPOINTS.find((endpoint) => endpoint.path.source === path.source)?.needs[method]
  if (needs === undefined) {
    throw new Error(`${method} ${path} is not in the table of endpoints: say there what it needs`)
  }
  return needs
}
