import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { ACTIONS, type Action } from '#registry/auth/rules.ts'
import { ENDPOINTS } from '#registry/http/access.ts'
import {
  imageManifest,
  type PushedImage,
  type RegistryClient,
} from '../../contract/registry/fixture.ts'
import { type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'
import { errorCode, type RequestOptions } from '../../support/http.ts'

/** Every set of actions is one user, who has the name of its place in this list and may do them in team/**. */
const SETS: readonly (readonly Action[])[] = Array.from({ length: 2 ** ACTIONS.length }, (_, set) =>
  ACTIONS.filter((_, i) => set & (1 << i)),
)
const OWNER = SETS.length - 1
/** Attempts that change nothing; an upload is opened for each. */
const READS = /^(?:GET|HEAD) (?!upload)/
const MANIFEST = { 'content-type': MEDIA_TYPE.ociManifest }

interface Place {
  readonly name: string
  readonly image: PushedImage
  /** The image that is pushed on top of it. */
  readonly other: Buffer
  /** Opens an upload as whoever asks. */
  upload(): Promise<string>
}

interface Request {
  readonly method: string
  readonly path: string
  readonly options?: RequestOptions
}

interface Attempt {
  /** All of them are needed. */
  readonly needs: readonly Action[]
  /** What comes of it for those who may. */
  readonly status: number
  readonly request: (place: Place) => Request | Promise<Request>
}

const put = (path: string, body: Buffer): Request => ({
  ...{ method: 'PUT', path, options: { body, headers: MANIFEST } },
})

/** Every endpoint with every method that it has, and every way to each action. */
const ATTEMPTS: Readonly<Record<string, Attempt>> = {
  'GET tags': {
    needs: ['pull'],
    status: 200,
    request: ({ name }) => ({ method: 'GET', path: `/v2/${name}/tags/list` }),
  },
  'GET referrers': {
    needs: ['pull'],
    status: 200,
    request: ({ name, image }) => ({
      ...{ method: 'GET', path: `/v2/${name}/referrers/${image.digest}` },
    }),
  },
  'GET manifest': {
    needs: ['pull'],
    status: 200,
    request: ({ name }) => ({ method: 'GET', path: `/v2/${name}/manifests/latest` }),
  },
  'HEAD manifest': {
    needs: ['pull'],
    status: 200,
    request: ({ name, image }) => ({
      ...{ method: 'HEAD', path: `/v2/${name}/manifests/${image.digest}` },
    }),
  },
  'GET blob': {
    needs: ['pull'],
    status: 200,
    request: ({ name, image }) => ({ method: 'GET', path: `/v2/${name}/blobs/${image.layer}` }),
  },
  'HEAD blob': {
    needs: ['pull'],
    status: 200,
    request: ({ name, image }) => ({ method: 'HEAD', path: `/v2/${name}/blobs/${image.layer}` }),
  },
  'GET a part of a blob': {
    needs: ['pull'],
    status: 206,
    request: ({ name, image }) => ({
      ...{ method: 'GET', path: `/v2/${name}/blobs/${image.layer}` },
      options: { headers: { range: 'bytes=0-1' } },
    }),
  },
  'PUT manifest under a new tag': {
    needs: ['push'],
    status: 201,
    request: ({ name, other }) => put(`/v2/${name}/manifests/new`, other),
  },
  'PUT manifest by digest': {
    needs: ['push'],
    status: 201,
    request: ({ name, other }) => put(`/v2/${name}/manifests/${digestOf(other)}`, other),
  },
  'PUT manifest by digest with a new tag': {
    needs: ['push'],
    status: 201,
    request: ({ name, other }) => put(`/v2/${name}/manifests/${digestOf(other)}?tag=new`, other),
  },
  'PUT the same manifest under its tag': {
    needs: ['push'],
    status: 201,
    request: ({ name, image }) => put(`/v2/${name}/manifests/latest`, image.bytes),
  },
  'PUT another manifest under a tag': {
    needs: ['push', 'overwrite'],
    status: 201,
    request: ({ name, other }) => put(`/v2/${name}/manifests/latest`, other),
  },
  'PUT another manifest by digest with a tag that is there': {
    needs: ['push', 'overwrite'],
    status: 201,
    request: ({ name, other }) =>
      put(`/v2/${name}/manifests/${digestOf(other)}?tag=new&tag=latest`, other),
  },
  'PUT another manifest under a tag, if it stands for the old one': {
    needs: ['push', 'overwrite'],
    status: 201,
    request: ({ name, other, image }) => ({
      ...{ method: 'PUT', path: `/v2/${name}/manifests/latest` },
      options: { body: other, headers: { ...MANIFEST, 'if-match': `"${image.digest}"` } },
    }),
  },
  'DELETE tag': {
    needs: ['delete'],
    status: 202,
    request: ({ name }) => ({ method: 'DELETE', path: `/v2/${name}/manifests/latest` }),
  },
  'DELETE manifest': {
    needs: ['delete'],
    status: 202,
    request: ({ name, image }) => ({
      ...{ method: 'DELETE', path: `/v2/${name}/manifests/${image.digest}` },
    }),
  },
  'DELETE blob': {
    needs: ['delete'],
    status: 202,
    request: ({ name, image }) => ({ method: 'DELETE', path: `/v2/${name}/blobs/${image.layer}` }),
  },
  'POST upload': {
    needs: ['push'],
    status: 202,
    request: ({ name }) => ({ method: 'POST', path: `/v2/${name}/blobs/uploads/` }),
  },
  'POST blob': {
    needs: ['push'],
    status: 201,
    request: ({ name }) => ({
      ...{ method: 'POST', path: `/v2/${name}/blobs/uploads/?digest=${digestOf('x')}` },
      options: { body: 'x' },
    }),
  },
  'POST mount': {
    needs: ['push', 'pull'],
    status: 201,
    request: ({ name, image }) => ({
      method: 'POST',
      path: `/v2/${name}/blobs/uploads/?mount=${image.layer}&from=team/source`,
    }),
  },
  'GET upload': {
    needs: ['push'],
    status: 204,
    request: async ({ upload }) => ({ method: 'GET', path: await upload() }),
  },
  'PATCH upload': {
    needs: ['push'],
    status: 202,
    request: async ({ upload }) => ({
      ...{ method: 'PATCH', path: await upload(), options: { body: 'x' } },
    }),
  },
  'PUT upload': {
    needs: ['push'],
    status: 201,
    request: async ({ upload }) => ({
      ...{ method: 'PUT', path: `${await upload()}?digest=${digestOf('x')}` },
      options: { body: 'x' },
    }),
  },
  'DELETE upload': {
    needs: ['push'],
    status: 204,
    request: async ({ upload }) => ({ method: 'DELETE', path: await upload() }),
  },
}

describe('a registry that asks who is there', () => {
  let closed: ClosedRegistry
  let owner: RegistryClient
  let last = 0
  before(async () => {
    const users = Object.fromEntries(SETS.map((_, i) => [`u${i}`, `secret${i}`]))
    const rules = SETS.flatMap((actions, i) => [
      ...(actions.length === 0
        ? []
        : [{ name: `${i}`, subjects: [`user:u${i}`], repositories: ['team/**'], actions }]),
    ])
    const outside = {
      name: 'o',
      subjects: [`user:u${OWNER}`],
      repositories: ['**'],
      actions: ACTIONS,
    }
    closed = await startClosedRegistry({ users, rules: [...rules, outside] })
    owner = closed.as(`u${OWNER}`)
    await owner.pushImage('team/source', 'latest', 'seed')
  })
  after(() => closed.stop())

  /** A repository of its own, for each attempt that may change it. */
  async function placeFor(client: RegistryClient, under: string): Promise<Place> {
    const name = `${under}/r${++last}`
    const image = await owner.pushImage(name, 'latest', 'seed')
    const other = Buffer.from(JSON.stringify({ ...imageManifest('seed'), annotations: { a: 'b' } }))
    const upload = async () => {
      const { headers } = await client.send('POST', `/v2/${name}/blobs/uploads/`)
      return headers.location ?? (await owner.startUpload(name))
    }
    return { name, image, other, upload }
  }

  it('is tried on every method of every endpoint', () => {
    const tried = new Set<string>(['GET ^\\/v2\\/?$', 'GET ^\\/v2\\/_catalog$'])
    for (const { request } of Object.values(ATTEMPTS)) {
      const place = { name: 'a/b', image: { layer: 'd', digest: 'd' }, other: Buffer.alloc(0) }
      const upload = () => '/v2/a/b/blobs/uploads/id'
      void Promise.resolve(request({ ...place, upload } as never)).then(({ method, path }) => {
        const [bare = ''] = path.split('?')
        const endpoint = [...ENDPOINTS].reverse().find((each) => each.path.test(bare))
        tried.add(`${method} ${endpoint?.path.source}`)
      })
    }
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      for (const { path, needs } of ENDPOINTS) {
        for (const [method, requirement] of Object.entries(needs)) {
          if (requirement === 'open') continue
          assert.ok(tried.has(`${method} ${path.source}`), `${method} ${path}`)
        }
      }
    })
  })

  for (const [what, { needs, status, request }] of Object.entries(ATTEMPTS)) {
    it(`answers ${what} to those who may ${needs.join(' and ')}, and to nobody else`, async () => {
      const read = READS.test(what) ? await placeFor(owner, 'team') : undefined
      for (const [i, actions] of SETS.entries()) {
        const client = closed.as(`u${i}`)
        const { method, path, options } = await request(read ?? (await placeFor(client, 'team')))
        const answer = await client.send(method, path, options)
        const isMount = what === 'POST mount' && actions.includes('push')
        const isAllowed = needs.every((action) => actions.includes(action))
        const expected = isAllowed ? status : isMount ? 202 : 403
        assert.equal(answer.status, expected, `${actions}: ${answer.body}`)
        if (expected === 403 && method !== 'HEAD') assert.equal(errorCode(answer), 'DENIED')
      }
    })

    it(`answers ${what} outside of their repositories to nobody`, async () => {
      const read = READS.test(what) ? await placeFor(owner, 'elsewhere') : undefined
      for (const i of [0, OWNER - 1, OWNER - 2, OWNER - 4, OWNER - 8]) {
        const client = closed.as(`u${i}`)
        const place = read ?? (await placeFor(client, 'elsewhere'))
        const { method, path, options } = await request(place)
        assert.equal((await client.send(method, path, options)).status, 403)
      }
    })

    it(`asks for a log-in before it answers ${what}`, async () => {
      for (const client of [closed.as(), closed.as('u31', 'wrong'), closed.as('nobody', 'x')]) {
        const place = await placeFor(owner, 'team')
        const { method, path, options } = await request(place)
        const answer = await client.send(method, path, options)
        assert.ok([401, 429].includes(answer.status), String(answer.status))
        if (answer.status === 401)
          assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer realm=/)
      }
    })
  }

  it('lists the repositories that one may list', async () => {
    for (const [i, actions] of SETS.entries()) {
      const { body } = await closed.as(`u${i}`).expect(200, 'GET', '/v2/_catalog')
      const { repositories } = JSON.parse(body.toString()) as { repositories: string[] }
      if (i === OWNER) assert.ok(repositories.some((name) => name.startsWith('elsewhere/')))
      else assert.ok(repositories.every((name) => name.startsWith('team/')))
      assert.equal(repositories.length > 0, actions.includes('list'))
    }
    await closed.as().expect(401, 'GET', '/v2/_catalog', { code: 'UNAUTHORIZED' })
  })

  it('pages through the repositories that one may list without a word of others', async () => {
    const user = `u${SETS.findIndex((actions) => actions.join() === 'list')}`
    const client = closed.as(user)
    const seen: string[] = []
    let path: string | undefined = '/v2/_catalog?n=7'
    while (path !== undefined) {
      const { body, headers } = await client.expect(200, 'GET', path)
      const { repositories } = JSON.parse(body.toString()) as { repositories: string[] }
      seen.push(...repositories)
      assert.ok(!JSON.stringify([headers.link ?? '', repositories]).includes('elsewhere'))
      path = /^<(.+)>/.exec(String(headers.link ?? ''))?.[1]
    }
    const { body } = await client.expect(200, 'GET', '/v2/_catalog')
    assert.deepEqual(seen, JSON.parse(body.toString()).repositories)
  })

  it('tells at /v2/ whether somebody has logged in', async () => {
    await closed.as().expect(401, 'GET', '/v2/', { code: 'UNAUTHORIZED' })
    await closed.as('u0', 'wrong').expect(401, 'GET', '/v2/', { code: 'UNAUTHORIZED' })
    for (const [i] of SETS.entries()) await closed.as(`u${i}`).expect(200, 'GET', '/v2/')
  })
})
