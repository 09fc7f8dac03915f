import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Logger } from 'pino'
import { createExpiryWarning } from '#registry/net/expiry.ts'
import { createCertificate } from '../../support/certificates.ts'

const DAY_MS = 86_400_000

it('says of a certificate that it expires soon, or has expired, at once and then once a day', () => {
  const said: string[] = []
  const log = { warn: () => said.push('soon'), error: () => said.push('expired') }
  let now = Date.now()
  const look = createExpiryWarning(log as unknown as Logger, () => now)
  const after = (days: number, cert: Buffer) => {
    now += days * DAY_MS
    said.length = 0
    look(cert)
    look(cert)
    return said.join()
  }
  const long = Buffer.from(createCertificate('a', { days: 30 }).cert)
  assert.equal(after(0, long), '')
  assert.equal(after(22, long), '')
  assert.equal(after(3, long), 'soon')
  assert.equal(after(0.5, long), '')
  assert.equal(after(0.6, long), 'soon')
  assert.equal(after(5, long), 'expired')
  now = Date.now()
  const short = Buffer.from(createCertificate('b', { days: 1 }).cert)
  assert.equal(after(0, short), '', 'one that is renewed each day')
  assert.equal(after(0.7, short), 'soon')
})
