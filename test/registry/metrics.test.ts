import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createMetrics, formatCounts, sumCounts } from '#registry/metrics/metrics.ts'

describe('the metrics', () => {
  it('are documented by name', async () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
    const documented = [...page.matchAll(/^\| `(dray_\w+)` \|/gm)].map(([, name]) => name)
    const counted = (await createMetrics().counts()).map(({ name }) => name)
    assert.deepEqual(documented.sort(), counted.filter((name) => name.startsWith('dray_')).sort())
  })

  it('are summed over processes, series by series', async () => {
    const [one, other] = [createMetrics(), createMetrics()]
    for (const metrics of [one, other, other]) {
      metrics.requestBegan()
      const sizes = { seconds: 1, received: 10, sent: 5 }
      metrics.requestEnded({ method: 'GET', route: 'blob', status: 200, ...sizes })
    }
    const sum = await sumCounts([await one.counts(), await other.counts()])
    const text = await formatCounts([sum])
    assert.match(text, /^dray_requests_total\{route="blob",method="GET",status="200"\} 3$/m)
    assert.match(text, /^dray_bytes_total\{route="blob",direction="received"\} 30$/m)
    assert.match(text, /^dray_request_seconds_count\{route="blob",method="GET"\} 3$/m)
    assert.match(text, /^dray_requests_in_flight 0$/m)
  })
})
