import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { dropsByDefault, endsInDrop, inputChains } from '#runner/network/firewall.ts'
import { proxyArguments } from '#runner/network/proxies.ts'

const LO = { match: { op: '==', left: { meta: { key: 'iifname' } }, right: 'lo' } }
const COUNTER = { counter: { packets: 0, bytes: 0 } }
const listing = (...exprs: Record<string, unknown>[][]) => ({
  nftables: [{}, ...exprs.map((expr) => ({ rule: { expr } }))],
})

describe('a firewall', () => {
  it('sees what comes in by its chains for input', () => {
    const base = { family: 'inet', table: 't', type: 'filter' }
    const chains = [
      { ...base, name: 'in', hook: 'input', policy: 'drop' },
      { ...base, name: 'out', hook: 'output', policy: 'drop' },
      { ...base, name: 'nat', hook: 'input', type: 'nat' },
      { family: 'inet', table: 't', name: 'called' },
    ]
    const found = inputChains({ nftables: chains.map((chain) => ({ chain })) })
    assert.deepEqual(found, chains.slice(0, 1))
  })

  for (const [title, last, drops] of [
    ['drops', [{ drop: null }], true],
    ['counts and drops', [COUNTER, { drop: null }], true],
    ['logs and rejects', [{ log: null }, { reject: { type: 'icmpx' } }], true],
    ['rejects as iptables has it', [COUNTER, { xt: { type: 'target', name: 'REJECT' } }], true],
    ['accepts', [{ accept: null }], false],
    ['drops some', [LO, { drop: null }], false],
    [
      'drops what iptables matches',
      [{ xt: { type: 'match', name: 'u32' } }, { drop: null }],
      false,
    ],
    ['jumps', [{ jump: { target: 'called' } }], false],
  ] as const) {
    it(`whose last rule ${title} ${drops ? 'drops' : 'does not drop'} by default`, () => {
      assert.equal(endsInDrop(listing([LO, { accept: null }], [...last])), drops)
      assert.equal(endsInDrop(listing([...last], [LO, { accept: null }])), false)
    })
  }

  for (const [title, text, drops] of [
    ['drops by its policy', ':INPUT DROP [0:0]', true],
    ['drops at its end', ':INPUT ACCEPT [5:420]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j DROP', true],
    [
      'rejects at its end, and says why',
      ':INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment "the rest" -j REJECT --reject-with icmp-port-unreachable\n-A ufw -j ACCEPT',
      true,
    ],
    ['drops what is forwarded', ':INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]', false],
    ['drops some', ':INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -j DROP', false],
    [
      'accepts at its end',
      ':INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\n-A INPUT -j ACCEPT',
      false,
    ],
    ['jumps to a chain', ':INPUT ACCEPT [0:0]\n:DROPS - [0:0]\n-A INPUT -j DROPS', false],
  ] as const) {
    it(`of iptables-legacy that ${title} ${drops ? 'drops' : 'does not drop'} by default`, () => {
      assert.equal(dropsByDefault(`*filter\n${text}\nCOMMIT\n`), drops)
    })
  }

  it('without rules does not drop by default', () => assert.equal(endsInDrop(listing()), false))
})

describe('the process that listens for a container', () => {
  const port = { hostPort: 8080, containerPort: 80, protocol: 'tcp' } as const

  it('waits for the other side when one has ended', () => {
    assert.equal(
      proxyArguments('id', port, '0.0.0.0', '10.1.2.3').join(' '),
      '-lp dray-id -t 86400 TCP4-LISTEN:8080,bind=0.0.0.0,reuseaddr,fork,max-children=1000,keepalive TCP4:10.1.2.3:80',
    )
  })

  it('forgets clients of UDP, and keeps to IPv6', () => {
    assert.equal(
      proxyArguments('id', { ...port, protocol: 'udp' }, '::1', '10.1.2.3').join(' '),
      '-lp dray-id -t 1 -T 60 UDP6-LISTEN:8080,bind=[::1],ipv6only=1,reuseaddr,fork,max-children=1000 UDP4:10.1.2.3:80',
    )
  })
})
