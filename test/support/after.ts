import type { TestContext } from 'node:test'

const pending = new WeakMap<TestContext, (() => void | Promise<void>)[]>()

/** Does something when a test ends; what was asked for last comes first, so that what stands on something goes before it. */
export function afterTest(t: TestContext, work: () => void | Promise<void>): void {
  const known = pending.get(t)
  if (known !== undefined) {
    known.push(work)
    return
  }
  const works = [work]
  pending.set(t, works)
  t.after(async () => {
    for (let next = works.pop(); next !== undefined; next = works.pop()) await next()
  })
}
