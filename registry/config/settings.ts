import * as z from 'zod'
import { errorMessage } from '#oci/error.ts'
import { MANIFEST_LIMIT } from '#oci/manifest.ts'
import { authSchema } from '../auth/config.ts'
import { parseGlob } from '../globs.ts'
import { areWarnings } from '../http/warnings.ts'
import { parseAddressSet } from '../net/addresses.ts'
import { suitableWorkers } from '../workers/count.ts'
import { address } from './address.ts'
import { section, setting } from './setting.ts'

const MINUTE_MS = 60_000
/** Of Node. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** What S3 allows at most. */
const WEEK_MS = 7 * 24 * 60 * MINUTE_MS

const text = z.string().min(1)
const duration = z.int().min(1).max(LONGEST_TIMER_MS)
const count = z.int().min(1)
const pattern = z.string().superRefine((value, context) => {
  try {
    parseGlob(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: errorMessage(error) })
  }
})
const addresses = z.array(text).superRefine((value, context) => {
  try {
    parseAddressSet(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: errorMessage(error) })
  }
})
const url = z.url({ protocol: /^https?$/ })

/** Every option of the registry. */
export const SETTINGS = {
  listen: setting('text', address, {
    default: '127.0.0.1:5000',
    argument: 'host:port',
    summary: 'where it listens',
    details: '`[::]:5000` for every interface, port 0 for a free one.',
  }),
  dataDir: setting('text', text, {
    default: '/var/lib/dray/registry',
    flag: 'data',
    argument: 'dir',
    summary: 'directory of its content, when no bucket is set',
    details:
      'It must be on one local file system. Processes may share it that are in one PID namespace: ' +
      'they tell by process numbers which uploads another one is writing to.',
  }),
  s3: section(
    {
      bucket: setting('text', text, {
        argument: 'name',
        summary: 'keep all content in this bucket',
        details:
          'It must exist. Any number of registries may share it. Credentials are found as the AWS SDK finds them.',
      }),
      endpoint: setting('text', url, {
        argument: 'url',
        defaultText: "Amazon's, of the region",
        summary: "S3 server, where it is not Amazon's",
      }),
      region: setting('text', text, {
        default: 'us-east-1',
        argument: 'name',
        summary: 'region of the bucket',
      }),
      pathStyle: setting('boolean', z.boolean(), {
        default: false,
        summary: "name the bucket in the path of URLs, as most servers but Amazon's want it",
      }),
      prefix: setting(
        'text',
        z
          .string()
          .regex(
            /^(?:[A-Za-z0-9._-]+\/)*$/,
            'must be empty, or path components that each end in /',
          ),
        {
          default: '',
          argument: 'prefix/',
          summary: 'what the names of all objects begin with',
          details: 'So a bucket can be shared with others. Path components that each end in `/`.',
        },
      ),
      redirect: setting('boolean', z.boolean(), {
        default: false,
        summary: 'send clients to the bucket for the bytes of blobs',
        details:
          'By URLs that are signed for one object and a while. Clients must be able to reach `s3.publicEndpoint`; see ' +
          '[operations](operations.md#redirects).',
      }),
      publicEndpoint: setting('text', url, {
        argument: 'url',
        defaultText: 'as `s3.endpoint`',
        summary: 'S3 server as clients reach it',
      }),
      redirectMinBytes: setting('number', z.int().min(0).max(Number.MAX_SAFE_INTEGER), {
        default: 65_536,
        argument: 'bytes',
        summary: 'the registry answers with smaller blobs itself',
        details: 'They come sooner so than by a second request to another server.',
      }),
      redirectTtlMs: setting('number', z.int().min(1000).max(WEEK_MS), {
        default: 20 * MINUTE_MS,
        argument: 'ms',
        summary: 'how long a signed URL is good for',
        details: 'At most a week. A download that has begun may take longer.',
      }),
    },
    { needs: ['bucket'] },
  ),
  stallTimeoutMs: setting('number', duration, {
    default: MINUTE_MS,
    argument: 'ms',
    summary: 'end requests on which no byte moves for so long',
    details: 'In either direction. A request may take as long as it likes while bytes flow.',
  }),
  uploadTtlMs: setting('number', duration, {
    default: 24 * 60 * MINUTE_MS,
    argument: 'ms',
    summary: 'drop unfinished uploads to which nothing was added for so long',
  }),
  shutdownTimeoutMs: setting('number', duration, {
    default: 30_000,
    argument: 'ms',
    summary: 'time that requests are given to finish when the registry is stopped',
    details: 'Uploads that are cut off keep what has come.',
  }),
  shutdownDelayMs: setting('number', z.int().min(0).max(LONGEST_TIMER_MS), {
    default: 0,
    argument: 'ms',
    summary: 'how long `/readyz` says so before a registry that was told to stop does',
    details: 'For balancers that need time to notice.',
  }),
  missingReferences: setting('text', z.enum(['refuse', 'allow']), {
    default: 'refuse',
    argument: 'refuse|allow',
    summary: 'manifests that refer to blobs or manifests which their repository lacks',
    details:
      '`refuse` answers `MANIFEST_BLOB_UNKNOWN`; `allow` takes them, for indexes of which only some platforms are mirrored.',
  }),
  readOnly: setting('boolean', z.boolean(), {
    default: false,
    summary: 'answer requests that change nothing, and no others',
    details:
      'Everything but `GET` and `HEAD` is refused with 405 `UNSUPPORTED`. Nothing is written to the storage, so ' +
      'credentials that can read and list are enough, and so is a directory on a disk that is mounted read-only.',
  }),
  immutableTags: setting('json', z.record(pattern, z.array(pattern)), {
    default: {},
    defaultText: 'none',
    argument: 'repositories=tags',
    collect: addRule,
    summary: 'tags that never change, once given',
    details:
      "Globs of repository names, each with a list of globs of tags; as a flag `'prod/**=v*'`.",
  }),
  warnings: setting(
    'json',
    z
      .array(z.string())
      .refine(areWarnings, 'must be of visible ASCII, and 4096 bytes long at most with framing'),
    {
      default: [],
      defaultText: 'none',
      flag: 'warning',
      argument: 'text',
      collect: (text, texts = []) => [...texts, text],
      summary: 'sentences that clients are told with every answer',
      details: 'In `Warning` headers; at most 4096 bytes of visible ASCII together.',
    },
  ),
  workers: setting('number', z.int().min(1).max(1024), {
    default: suitableWorkers(),
    defaultText: 'one for each core, at most 4',
    argument: 'n',
    summary: 'processes that serve, behind one listener',
    details:
      'Each takes about 80 MiB of memory before it has anything to do; without 512 MiB for each, there are fewer by ' +
      'default. With 1 there is one process in all.',
  }),
  auth: setting('json', authSchema, {
    flag: false,
    summary: 'who may do what, see below',
    details: 'Without it everybody may do everything.',
  }),
  tls: section(
    {
      cert: setting('text', text, {
        argument: 'file',
        summary: 'speak TLS with this certificate',
        details: 'PEM, with the certificates in between. Taken again when the files change.',
      }),
      key: setting('text', text, { argument: 'file', summary: 'private key of the certificate' }),
      clientCa: setting('text', text, {
        argument: 'file',
        summary: 'CAs whose certificates say who a client is',
        details: 'By their alternative names, see [below](#client-certificates).',
      }),
      requireClientCert: setting('boolean', z.boolean(), {
        default: false,
        summary: 'end connections without a certificate of these CAs',
      }),
    },
    { needs: ['cert', 'key'] },
  ),
  limits: section({
    requestsPerSecond: setting('number', z.number().positive(), {
      argument: 'n',
      defaultText: 'no limit',
      summary: 'requests a second that each user, or address of others, may make on average',
      details: 'More are answered 429 with `Retry-After`. Each process counts for itself.',
    }),
    burst: setting('number', count, {
      default: 100,
      argument: 'n',
      summary: 'requests that may come at once, after a rest',
    }),
    concurrentRequests: setting('number', count, {
      argument: 'n',
      defaultText: 'no limit',
      summary: 'requests that may run at the same time, for each user or address',
    }),
    openUploads: setting('number', count, {
      argument: 'n',
      defaultText: 'no limit',
      summary: 'uploads that may be open in a repository',
      details: 'Each process counts those that it has begun.',
    }),
    repositoryBytes: setting('number', count, {
      argument: 'bytes',
      defaultText: 'no limit',
      summary: 'bytes of all blobs of a repository',
      details:
        'Checked when a blob is complete; several replicas may exceed it together by what they push in a minute.',
    }),
    manifestBytes: setting('number', z.int().min(1024).max(MANIFEST_LIMIT), {
      default: MANIFEST_LIMIT,
      argument: 'bytes',
      summary: 'longest manifest that is taken',
    }),
    headerBytes: setting('number', z.int().min(4096).max(65_536), {
      default: 16_384,
      argument: 'bytes',
      summary: 'longest headers that are read',
      details: 'Longer ones are answered 431.',
    }),
  }),
  trustedProxies: setting('json', addresses, {
    default: [],
    defaultText: 'none',
    flag: 'trusted-proxy',
    argument: 'address',
    collect: (text, texts = []) => [...texts, text],
    summary: 'proxies whose word on the address, scheme and host of clients is taken',
    details:
      'Addresses or networks such as `10.0.0.0/8`. From others `Forwarded` and `X-Forwarded-*` say nothing.',
  }),
  openToAnyone: setting('boolean', z.boolean(), {
    default: false,
    summary: 'let a registry without auth listen on an address that is not loopback',
    details: 'Whoever reaches it may push and delete.',
  }),
  plainHttp: setting('boolean', z.boolean(), {
    default: false,
    summary: 'listen without TLS on an address that is not loopback',
    details: 'Passwords go over the network as they are.',
  }),
  metrics: section(
    {
      listen: setting('text', address, {
        argument: 'host:port',
        summary: 'where it answers `GET /metrics`, for Prometheus',
        details: 'On an address of its own, which clients of the registry need not reach.',
      }),
    },
    { needs: ['listen'] },
  ),
  logLevel: setting('text', z.enum(['error', 'warn', 'info', 'debug', 'silent']), {
    default: 'info',
    argument: 'level',
    summary: 'what is logged, as JSON on standard output: error, warn, info, debug or silent',
  }),
} as const

type TagRules = Record<string, string[]>

function addRule(rule: string, rules: TagRules = {}): TagRules | undefined {
  const at = rule.indexOf('=')
  if (at < 1) return undefined
  const repositories = rule.slice(0, at)
  return { ...rules, [repositories]: [...(rules[repositories] ?? []), rule.slice(at + 1)] }
}
