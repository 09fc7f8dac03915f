import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { proxyFinder } from '#puller/proxy/find-proxy.ts'

const PROXIES = { HTTP_PROXY: 'plain.test:3128', https_proxy: 'http://u:p%40@secure.test' }

describe('proxyFinder', () => {
  it('takes the proxy of the scheme, with its credentials', () => {
    const find = proxyFinder(PROXIES)
    assert.equal(find(new URL('http://r.example'))?.url.href, 'http://plain.test:3128/')
    const secure = find(new URL('https://r.example'))
    assert.equal(secure?.url.href, 'http://secure.test/')
    const sent = Buffer.from('u:p@').toString('base64')
    assert.deepEqual(secure?.headers, { 'proxy-authorization': `Basic ${sent}` })
  })

  it('takes the name in capitals first, and none where there is none', () => {
    const find = proxyFinder({ HTTP_PROXY: 'a.test', http_proxy: 'b.test', HTTPS_PROXY: '' })
    assert.equal(find(new URL('http://r.example'))?.url.host, 'a.test')
    assert.equal(find(new URL('https://r.example')), undefined)
  })

  for (const host of ['localhost:5000', '127.0.0.1', '127.9.8.7:80', '[::1]:5000']) {
    it(`reaches ${host} without one`, () => {
      assert.equal(proxyFinder(PROXIES)(new URL(`http://${host}`)), undefined)
    })
  }

  for (const text of ['socks5://p.test', 'ftp://p.test', 'http://', 'http://u:secret@ bad']) {
    it(`refuses ${text} when it is needed, and does not quote it`, () => {
      const find = proxyFinder({ HTTP_PROXY: text, NO_PROXY: 'other.example' })
      assert.equal(find(new URL('http://other.example')), undefined)
      assert.throws(() => find(new URL('http://r.example')), {
        code: 'CONFIG_INVALID',
        message: /^HTTP_PROXY names no proxy/,
      })
    })
  }

  const EXEMPT: readonly (readonly [noProxy: string, direct: string, proxied: string])[] = [
    ['*', 'http://a.example', ''],
    ['r.example', 'http://r.example http://a.R.example:81', 'http://xr.example http://example'],
    ['.r.example', 'http://a.r.example', 'http://r.example'],
    ['*.r.example', 'http://a.b.r.example', 'http://r.example'],
    ['x, r.example:81 ,', 'http://r.example:81', 'http://r.example'],
    ['r.example:443', 'https://r.example', 'http://r.example'],
    ['10.0.0.0/8', 'http://10.1.2.3:80', 'http://11.1.2.3 http://10.example'],
    ['10.1.2.3', 'http://10.1.2.3', 'http://10.1.2.4'],
    ['10.1.2.3:81', 'http://10.1.2.3:81', 'http://10.1.2.3'],
    ['fd00::/8', 'http://[fd12::1]', 'http://[fe80::1] http://10.1.2.3'],
    ['FD12:0::1', 'http://[fd12::1]:5000', 'http://[fd12::2]'],
    ['[fd12::1]:81', 'http://[fd12::1]:81', 'http://[fd12::1]'],
    ['10.0.0.0/99', '', 'http://10.0.0.0'],
    ['', '', 'http://a.example'],
  ]
  for (const [noProxy, direct, proxied] of EXEMPT) {
    it(`understands NO_PROXY=${noProxy}`, () => {
      const find = proxyFinder({ HTTP_PROXY: 'p.test', HTTPS_PROXY: 'p.test', no_proxy: noProxy })
      const urls = (text: string) => text.split(' ').filter(Boolean)
      for (const url of urls(direct)) assert.equal(find(new URL(url)), undefined, url)
      for (const url of urls(proxied)) assert.ok(find(new URL(url)), url)
    })
  }
})
