import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Router from '@koa/router'
import { ENDPOINTS, guardRoutes } from '#registry/http/access.ts'
import { PATHS } from '#registry/http/paths.ts'

describe('the table of endpoints', () => {
  it('has every path of the API, once', () => {
    assert.deepEqual(
      ENDPOINTS.map(({ path }) => path),
      Object.values(PATHS),
    )
  })

  it('keeps routes out that it lacks', () => {
    const routes = guardRoutes(new Router(), async () => {})
    assert.throws(() => routes.get(/^\/v2\/new$/, () => {}), /not in the table/)
    assert.throws(() => routes.delete(PATHS.catalog, () => {}), /not in the table/)
    routes.get(PATHS.catalog, () => {})
  })
})
