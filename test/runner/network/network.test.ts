import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hostsText, resolverText } from '#runner/etc-files.ts'
import { gatewayOf, hostAddresses, overlaps, parseSubnet } from '#runner/network/address.ts'
import {
  gateway6Of,
  hostAddresses6,
  isHostAddress6,
  parseSubnet6,
  randomSubnet6,
} from '#runner/network/address6.ts'
import { dropAddress, takeAddress, takeAddress6 } from '#runner/network/leases.ts'
import { parseNetworks } from '#runner/network/attachments.ts'
import { formatPort, parseExposed, parsePort } from '#runner/network/ports.ts'
import type { PortMapping } from '#runner/network/model.ts'
import { reservePorts } from '#runner/network/reserve.ts'
import {
  createNetwork,
  findNetwork,
  freeSubnet,
  listNetworks,
  removeNetwork,
} from '#runner/network/store.ts'
import { containerPaths, containersDir } from '#runner/layout.ts'
import { mkdirSync } from 'node:fs'
import { tempDir } from '../../support/temp-dir.ts'

const PORT: PortMapping = {
  hostIp: '127.0.0.1',
  hostPort: 0,
  containerPort: 80,
  protocol: 'tcp',
}

describe('a port', () => {
  for (const [text, ports] of [
    ['80', ['0.0.0.0:0->80/tcp']],
    ['8080:80', ['0.0.0.0:8080->80/tcp']],
    [':80', ['0.0.0.0:0->80/tcp']],
    ['127.0.0.1:53:53/udp', ['127.0.0.1:53->53/udp']],
    ['127.0.0.1::80', ['127.0.0.1:0->80/tcp']],
    ['0.0.0.0:8080:80', ['0.0.0.0:8080->80/tcp']],
    ['[fd00::1]:8080:80', ['[fd00::1]:8080->80/tcp']],
    ['[::]:8080:80', ['0.0.0.0:8080->80/tcp']],
    ['[::1]:8080:80', ['[::1]:8080->80/tcp']],
    ['[fd00::1]::80/udp', ['[fd00::1]:0->80/udp']],
    ['80:80/TCP', ['0.0.0.0:80->80/tcp']],
    ['8000-8001:80-81', ['0.0.0.0:8000->80/tcp', '0.0.0.0:8001->81/tcp']],
    ['80-81/udp', ['0.0.0.0:0->80/udp', '0.0.0.0:0->81/udp']],
    ['8000-8010:80', ['0.0.0.0:8000-8010->80/tcp']],
    ['8000-8000:80', ['0.0.0.0:8000->80/tcp']],
    ['127.0.0.1:8000-8010:80-80', ['127.0.0.1:8000-8010->80/tcp']],
    ['0:80', ['0.0.0.0:0->80/tcp']],
  ] as const) {
    it(`is read from ${text}`, () => assert.deepEqual(parsePort(text).map(formatPort), ports))
  }

  for (const text of [
    '',
    '0',
    '65536',
    'a',
    '1:2:3',
    '80/sctp',
    '80/tcp/x',
    '3-1',
    '[fd00::1]:80',
    '[x]:1:2',
    '::1:1:2',
  ]) {
    it(`is not read from ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePort(text), { code: 'USAGE' })
    })
  }

  for (const text of ['8000-8010:80-89', '1-2:4-6', '1:4-5']) {
    it(`is not read from ranges of different length, ${text}`, () => {
      assert.throws(() => parsePort(text), {
        code: 'USAGE',
        message: /\d+ of the host for \d+ of the container: write as many of each, or one/,
      })
    })
  }

  it('is exposed alone, or with its neighbours', () => {
    assert.deepEqual(parseExposed('80'), ['80/tcp'])
    assert.deepEqual(parseExposed('8000-8001/udp'), ['8000/udp', '8001/udp'])
    for (const text of ['', 'x', '90-80', '0', '80/x', '80/tcp/udp']) {
      assert.throws(() => parseExposed(text), { code: 'USAGE' })
    }
  })

  it('is ours alone as long as it is held', async () => {
    const first = await reservePorts([PORT])
    assert.ok((first.ports[0]?.hostPort ?? 0) > 0)
    await assert.rejects(reservePorts(first.ports), { code: 'PORT_TAKEN' })
    first.release()
  })

  it('is the first of a range that is free, and none when all are taken', async () => {
    const first = await reservePorts([PORT])
    const { hostPort = 0 } = first.ports[0] ?? {}
    const range = { ...PORT, hostPort, hostPortEnd: Math.min(hostPort + 20, 65_535) }
    const second = await reservePorts([range, { ...range, isProxied: true }])
    const [one, other] = second.ports.map((port) => port.hostPort)
    assert.ok(one !== undefined && other !== undefined && hostPort < one && one < other)
    assert.deepEqual(Object.keys(second.ports[0] ?? {}), Object.keys(PORT))
    await assert.rejects(reservePorts([{ ...range, hostPortEnd: one }]), {
      code: 'PORT_TAKEN',
      message: new RegExp(`one of the ports ${hostPort}-${one} of 127.0.0.1: .* at each`),
    })
    first.release()
    second.release()
  })
})

describe('what is typed of networks', () => {
  const parse = (texts: string[], beside = {}) => parseNetworks(texts, beside)

  it('is a mode, a name, or names with addresses and aliases', () => {
    assert.deepEqual(parse(['host']), { network: 'host' })
    assert.deepEqual(parse(['container:x']), { network: 'container:x' })
    const mac = '02:42:ac:11:00:02'
    const web = { name: 'web', ip: '10.1.2.3', mac, aliases: ['a', 'b'] }
    for (const text of [
      'web:ip=10.1.2.3,mac=02:42:AC:11:00:02,alias=a,alias=b',
      'name=web,alias=a,ip=10.1.2.3,mac-address=02:42:ac:11:00:02,alias=b',
    ]) {
      assert.deepEqual(parse([text]), { network: 'web', networks: [web] })
    }
    const beside = { ip: '10.1.2.3', mac, aliases: ['a', 'b'] }
    assert.deepEqual(parse(['web'], beside), { network: 'web', networks: [web] })
    assert.deepEqual(
      parse(['web', 'db']).networks?.map(({ name }) => name),
      ['web', 'db'],
    )
  })

  for (const texts of [
    ['host', 'web'],
    ['web', 'web'],
    ['web:ip=x'],
    ['web:x=y'],
    ['web:ip=::1'],
  ]) {
    it(`is refused as ${texts.join(' ')}`, () => {
      assert.throws(() => parse(texts), { code: 'USAGE' })
    })
  }

  for (const beside of [{ ip: '10.1.2.3' }, { ip6: 'fd00::7' }, { mac: '02:42:ac:11:00:02' }]) {
    it(`has one address for one network: ${JSON.stringify(beside)}`, () => {
      assert.throws(() => parse(['a', 'b'], beside), { code: 'USAGE' })
    })
  }

  for (const mode of ['none', 'host', 'container:x', 'pasta', 'slirp4netns']) {
    it(`has no address and no names where nobody else is: ${mode}`, () => {
      const all = [{ ip: '10.1.2.3' }, { ip6: 'fd00::7' }, { mac: '02:42:ac:11:00:02' }]
      for (const beside of [...all, { aliases: ['a'] }]) {
        assert.throws(() => parse([mode], beside), { code: 'USAGE', message: /excludes addresses/ })
      }
      assert.deepEqual(parse([mode]), { network: mode })
    })
  }

  for (const text of ['', '02:42:ac:11:00', '02:42:ac:11:00:0g', '01:00:5e:00:00:01']) {
    it(`has no interface with the address ${JSON.stringify(text)}`, () => {
      assert.throws(() => parse(['web'], { mac: text }), { code: 'USAGE' })
    })
  }
})

describe('a subnet', () => {
  it('is a range of addresses', () => {
    assert.equal(parseSubnet('10.1.2.3/24').text, '10.1.2.0/24')
    assert.equal(gatewayOf('10.1.2.0/24', undefined), '10.1.2.1')
    assert.deepEqual([...hostAddresses('10.1.2.0/30')], ['10.1.2.1', '10.1.2.2'])
    assert.equal(overlaps('10.0.0.0/8', '10.1.2.0/24'), true)
    assert.equal(overlaps('10.1.2.0/24', '10.1.3.0/24'), false)
  })

  for (const text of ['', '10.0.0.0', '10.0.0.0/33', '300.0.0.0/8', 'x/8']) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseSubnet(text), { code: 'USAGE' })
    })
  }

  it('has its gateway within', () => {
    assert.throws(() => gatewayOf('10.1.2.0/24', '10.1.3.1'), { code: 'USAGE' })
    assert.throws(() => gatewayOf('10.1.2.0/31', undefined), { code: 'USAGE' })
  })
})

describe('a subnet of IPv6', () => {
  it('is a range of addresses', () => {
    assert.equal(parseSubnet6('fd00:1:0:0::7/64').text, 'fd00:1::/64')
    assert.equal(gateway6Of('fd00:1::/64', undefined), 'fd00:1::1')
    assert.equal(gateway6Of('fd00:1::/64', 'fd00:1:0:0:0:0:0:9'), 'fd00:1::9')
    const addresses = hostAddresses6('fd00:1::fffe:0/112')
    assert.deepEqual(
      [addresses.next().value, addresses.next().value],
      ['fd00:1::fffe:1', 'fd00:1::fffe:2'],
    )
    assert.equal(isHostAddress6('fd00:1::/64', 'fd00:1::'), false)
    assert.equal(isHostAddress6('fd00:1::/64', 'fd00:2::1'), false)
    assert.match(randomSubnet6(), /^fd[0-9a-f:]+::\/64$/)
  })

  for (const text of ['', 'fd00::', 'fd00::/129', 'fd00::/8', '10.0.0.0/24', 'x::/64']) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseSubnet6(text), { code: 'USAGE' })
    })
  }
})

describe('a network', () => {
  it('is made, found, listed and removed by its name', async (t) => {
    const root = tempDir(t)
    const network = await createNetwork(root, 'app', { subnet: '10.201.7.0/24' })
    assert.equal(network.gateway, '10.201.7.1')
    await assert.rejects(createNetwork(root, 'app'), { code: 'NAME_TAKEN' })
    assert.equal((await findNetwork(root, 'app')).id, network.id)
    const { subnet } = await findNetwork(root, 'bridge')
    assert.equal(overlaps(subnet, network.subnet), false)
    assert.deepEqual(
      (await listNetworks(root)).map(({ name }) => name),
      ['app', 'bridge'],
    )
    await removeNetwork(root, 'app')
    await assert.rejects(findNetwork(root, 'app'), { code: 'NETWORK_UNKNOWN' })
    await assert.rejects(createNetwork(root, 'host'), { code: 'USAGE' })
  })

  it('has a subnet that other stores of the host hardly take', async () => {
    const roots = Array.from({ length: 8 }, (_, at) => `/nowhere/${at}`)
    const subnets = await Promise.all(roots.map(freeSubnet))
    assert.ok(new Set(subnets).size > 4, subnets.join(' '))
  })

  it('gives each container an address of its own, and those of the gone again', async (t) => {
    const root = tempDir(t)
    const network = await createNetwork(root, 'small', { subnet: '10.201.7.0/29' })
    const ids = ['a', 'b', 'c', 'd', 'e'].map((digit) => digit.repeat(64))
    for (const id of ids)
      mkdirSync(containerPaths(containersDir(root), id).dir, { recursive: true })
    const addresses = ids.map((id) => takeAddress(root, network, id))
    assert.deepEqual(
      addresses,
      [2, 3, 4, 5, 6].map((last) => `10.201.7.${last}`),
    )
    assert.throws(() => takeAddress(root, network, 'f'.repeat(64)), { code: 'RUN_FAILED' })
    dropAddress(root, network, '10.201.7.4', ids[0] ?? '')
    assert.throws(() => takeAddress(root, network, 'f'.repeat(64)), { code: 'RUN_FAILED' })
    dropAddress(root, network, '10.201.7.4', ids[2] ?? '')
    assert.equal(takeAddress(root, network, 'f'.repeat(64)), '10.201.7.4')
  })

  it('gives free addresses of a range, and never those that are kept for others', async (t) => {
    const root = tempDir(t)
    const network = await createNetwork(root, 'part', {
      ...{ subnet: '10.201.8.0/24', range: '10.201.8.128/29' },
      ...{ subnet6: 'fd00:8::/64', range6: 'fd00:8::100/120' },
      reserved: ['10.201.8.128', '10.201.8.9', 'fd00:8::100'],
    })
    const [id, other] = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string]
    assert.equal(takeAddress(root, network, id), '10.201.8.129')
    assert.equal(takeAddress6(root, network, id), 'fd00:8::101')
    assert.equal(takeAddress(root, network, other, '10.201.8.7'), '10.201.8.7')
    assert.throws(() => takeAddress(root, network, other, '10.201.8.9'), { code: 'USAGE' })
    for (const wrong of [
      { range: '10.202.0.0/24' },
      { subnet: '10.201.9.0/24', range: '10.201.0.0/16' },
      { range6: 'fd00:9::/64' },
      { reserved: ['10.0.0.256'] },
    ]) {
      await assert.rejects(createNetwork(root, 'wrong', wrong), { code: 'USAGE' })
    }
  })
})

describe('the files of names', () => {
  it('have the container, and what it is told of others', () => {
    const text = hostsText(
      'box',
      { extraHosts: ['a:1.2.3.4', 'up:host-gateway'] },
      { addresses: ['10.0.0.2'], gateway: '10.0.0.1' },
      '',
    )
    assert.match(text, /^127\.0\.0\.1\tlocalhost$/m)
    assert.match(text, /^1\.2\.3\.4\ta$/m)
    assert.match(text, /^10\.0\.0\.1\tup$/m)
    assert.match(text, /^10\.0\.0\.2\tbox$/m)
    const full = hostsText('box', { domainname: 'a.b' }, { hostNames: ['box', 'web'] }, '')
    assert.match(full, /^127\.0\.1\.1\tbox\.a\.b box web$/m)
  })

  it('name the servers of the options, of the network, or of the host as far as they can be reached', () => {
    const host = 'nameserver 127.0.0.53\nnameserver 1.1.1.1\nsearch example\noptions edns0\n'
    const isIsolated = true
    assert.equal(
      resolverText({}, {}, host),
      'search example\nnameserver 127.0.0.53\nnameserver 1.1.1.1\noptions edns0\n',
    )
    assert.equal(
      resolverText({}, { isIsolated }, host),
      'search example\nnameserver 1.1.1.1\noptions edns0\n',
    )
    const network = { isIsolated, nameservers: ['10.0.0.1'], searchDomains: ['dns'] }
    assert.equal(
      resolverText({}, network, host),
      'search dns\nnameserver 10.0.0.1\noptions edns0\n',
    )
    const options = { dns: ['9.9.9.9'], dnsSearch: ['.'], dnsOptions: ['ndots:1'] }
    assert.equal(
      resolverText(options, { isIsolated }, host),
      'nameserver 9.9.9.9\noptions ndots:1\n',
    )
  })
})
