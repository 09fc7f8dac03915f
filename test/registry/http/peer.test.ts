import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findPeers, type Peer, peerOf } from '#registry/http/peer.ts'
import { parseAddressSet } from '#registry/net/addresses.ts'

const TRUSTED = ['10.0.0.0/8', '::1']

async function peer(
  remoteAddress: string,
  headers: Readonly<Record<string, string>>,
  isEncrypted = false,
): Promise<Peer> {
  const ctx = {
    state: {},
    headers,
    req: { socket: { remoteAddress, ...(isEncrypted ? { encrypted: true } : {}) } },
    get: (name: string) => (name === 'Host' ? 'direct:5000' : ''),
  }
  await findPeers(parseAddressSet(TRUSTED))(ctx as never, async () => {})
  return peerOf(ctx)
}

describe('the peer of a request', () => {
  const direct = { host: 'direct:5000', scheme: 'http' }

  it('is who has the connection, when it is no trusted proxy', async () => {
    const headers = {
      forwarded: 'for=1.2.3.4;proto=https;host=evil',
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil',
    }
    assert.deepEqual(await peer('9.9.9.9', headers), { ...direct, address: '9.9.9.9' })
    assert.deepEqual(await peer('::ffff:9.9.9.9', headers, true), {
      ...{ address: '9.9.9.9', host: 'direct:5000', scheme: 'https' },
    })
  })

  const cases: readonly (readonly [object, Partial<Peer>])[] = [
    [{}, { address: '10.0.0.1' }],
    [{ 'x-forwarded-for': '1.2.3.4' }, { address: '1.2.3.4' }],
    [{ 'x-forwarded-for': '6.6.6.6, 1.2.3.4' }, { address: '1.2.3.4' }],
    [{ 'x-forwarded-for': '6.6.6.6, 1.2.3.4, 10.2.2.2' }, { address: '1.2.3.4' }],
    [{ 'x-forwarded-for': '10.3.3.3,10.2.2.2' }, { address: '10.3.3.3' }],
    [{ 'x-forwarded-for': '1.2.3.4:5678' }, { address: '1.2.3.4' }],
    [{ 'x-forwarded-for': '[2001:db8::1]:80' }, { address: '2001:db8::1' }],
    [{ 'x-forwarded-for': '6.6.6.6, unknown' }, { address: '10.0.0.1' }],
    [{ 'x-forwarded-for': '' }, { address: '10.0.0.1' }],
    [
      {
        'x-forwarded-for': '1.2.3.4',
        'x-forwarded-proto': 'HTTPS',
        'x-forwarded-host': 'registry.example',
      },
      { address: '1.2.3.4', scheme: 'https', host: 'registry.example' },
    ],
    [
      { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'javascript' },
      { address: '1.2.3.4', scheme: 'http' },
    ],
    [{ forwarded: 'for=1.2.3.4' }, { address: '1.2.3.4' }],
    [
      { forwarded: 'For="[2001:db8::1]:4711"; Proto=https;host="registry.example:443"' },
      { address: '2001:db8::1', scheme: 'https', host: 'registry.example:443' },
    ],
    [
      { forwarded: 'for=6.6.6.6;host=evil, for=1.2.3.4;proto=https;host=good, for=10.9.9.9' },
      { address: '1.2.3.4', scheme: 'https', host: 'good' },
    ],
    [{ forwarded: 'for=_hidden;proto=https' }, { address: '10.0.0.1', scheme: 'https' }],
    [
      { forwarded: 'for=6.6.6.6;host=evil, for=_hidden;proto=https' },
      { address: '10.0.0.1', scheme: 'https' },
    ],
    [
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example' },
      { address: '10.0.0.1', scheme: 'https', host: 'registry.example' },
    ],
    [{ 'x-forwarded-proto': '' }, { address: '10.0.0.1' }],
    [{ forwarded: 'for="1.2.3.4' }, { address: '10.0.0.1' }],
    [{ forwarded: 'for=1.2.3.4', 'x-forwarded-for': '6.6.6.6' }, { address: '1.2.3.4' }],
  ]
  for (const [headers, expected] of cases) {
    it(`behind a trusted proxy that says ${JSON.stringify(headers)}`, async () => {
      assert.deepEqual(await peer('10.0.0.1', headers as never), { ...direct, ...expected })
    })
  }
})
