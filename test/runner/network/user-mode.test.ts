import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PortMapping } from '#runner/network/model.ts'
import {
  pastaArguments,
  slirpArguments,
  slirpRequest,
  whyNoTun,
} from '#runner/network/user-mode/programs.ts'

const WEB: PortMapping = { hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'tcp' }
const DNS: PortMapping = { hostPort: 5353, containerPort: 53, protocol: 'udp' }

describe('a network that a program makes', () => {
  it('has of pasta’s ports those that are named, and no way to the host’s loopback device', () => {
    const words = pastaArguments('/n', [WEB, DNS]).join(' ')
    assert.match(words, / -t 127\.0\.0\.1\/8080:80 -u 5353:53 -T none -U none --netns \/n$/)
    assert.match(words, /--no-map-gw/)
    assert.match(pastaArguments('/n', []).join(' '), / -t none -u none -T none -U none /)
  })

  it('has of slirp4netns no way to the host’s loopback device, and ports by request', () => {
    assert.ok(slirpArguments('/n', 's').includes('--disable-host-loopback'))
    assert.deepEqual(JSON.parse(slirpRequest(DNS)), {
      execute: 'add_hostfwd',
      arguments: {
        proto: 'udp',
        host_addr: '0.0.0.0',
        host_port: 5353,
        guest_addr: '10.0.2.100',
        guest_port: 53,
      },
    })
  })

  it('tells what to do where the device that it needs is missing', () => {
    assert.match(whyNoTun('/nowhere') ?? '', /no \/nowhere: let root load it with modprobe tun/)
    assert.equal(whyNoTun('/dev/null'), undefined)
  })
})
