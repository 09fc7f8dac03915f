export interface CephOptions {
  /** Where objects are kept: in memory, where they are quick to make and gone with the cluster, or in a sparse file. */
  readonly keptIn?: 'memory' | 'file' | undefined
  /** Default: 6 GiB. */
  readonly capacityBytes?: number | undefined
  /** Where the state goes. Default: the directory for temporary files. */
  readonly dir?: string | undefined
  /** The smallest part but the last that an upload in parts may have. Default: 5 MiB, as it is with S3. */
  readonly leastPartBytes?: number | undefined
}

const CAPACITY = 6 * 1024 ** 3
const LEAST_PART = 5 * 1024 ** 2

/** What stands in the `ceph.conf` of a cluster with its state in `dir`. */
export function cephSettings(
  { dir, fsid, gatewayPort }: { dir: string; fsid: string; gatewayPort: number },
  options: CephOptions,
): string {
  const sections: Record<string, Record<string, string | number | boolean>> = {
    global: {
      fsid,
      monmap: `${dir}/monmap`,
      'public addr': '127.0.0.1',
      'cluster addr': '127.0.0.1',
      'ms bind ipv6': false,
      'ms bind msgr2': false,
      'auth cluster required': 'none',
      'auth service required': 'none',
      'auth client required': 'none',
      'run dir': dir,
      'admin socket': '',
      'log to syslog': false,
      'log file': '/dev/null',
      'mon cluster log file': '/dev/null',
      // A monitor alone has nobody to wait for: the defaults make a start take 13 s.
      'paxos propose interval': 0.05,
      'paxos min wait': 0.01,
      'osd pool default size': 1,
      'osd pool default min size': 1,
      'osd pool default pg num': 4,
      'osd pool default pgp num': 4,
      'osd pool default pg autoscale mode': 'off',
      'osd crush chooseleaf type': 0,
      'mon allow pool size one': true,
      'mon max pg per osd': 1000,
      'mon data avail crit': 1,
      'mon data avail warn': 1,
      'mon osd full ratio': 0.99,
      'mon osd backfillfull ratio': 0.98,
      'mon osd nearfull ratio': 0.97,
      'osd failsafe full ratio': 0.995,
    },
    'mon.a': { 'mon data': `${dir}/mon` },
    'osd.0': {
      'osd data': `${dir}/osd`,
      ...storeSettings(options),
      'osd class update on start': false,
      'osd op num shards': 2,
      'osd op num threads per shard': 2,
    },
    'client.rgw': {
      // Without tcp_nodelay every GET and LIST takes 45 ms.
      'rgw frontends': `beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1`,
      'rgw thread pool size': 64,
      'rgw multipart min part size': options.leastPartBytes ?? LEAST_PART,
      'rgw dns name': 'localhost',
      'rgw gc obj min wait': 5,
      'rgw gc processor period': 10,
      'rgw override bucket index max shards': 1,
      'rgw rados pool pg num min': 4,
    },
  }
  return Object.entries(sections)
    .map(([name, values]) => {
      const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}\n`)
      return `[${name}]\n${lines.join('')}`
    })
    .join('')
}

function storeSettings({ keptIn = 'memory', capacityBytes = CAPACITY }: CephOptions) {
  if (keptIn === 'memory') {
    return { 'osd objectstore': 'memstore', 'memstore device bytes': capacityBytes }
  }
  return {
    'osd objectstore': 'bluestore',
    'bluestore block create': true,
    'bluestore block size': capacityBytes,
    'bluestore cache autotune': false,
    'bluestore cache size': 128 * 1024 ** 2,
  }
}
