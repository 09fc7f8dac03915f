import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { before, describe, it } from 'node:test'
import { until } from '../runner/support/run.ts'
import { containerStore } from '../support/container-store.ts'
import { debianServices } from '../support/debian-services.ts'

const store = containerStore()
const { ok } = store

const BIN = '/usr/lib/postgresql/15/bin'
const DATABASE = `set -e; cd /srv/db
  if [ ! -s data/PG_VERSION ]; then
    ${BIN}/initdb -D data -A trust --locale=C -E UTF8 >/dev/null
    echo 'host all all all trust' >> data/pg_hba.conf
  fi
  exec ${BIN}/postgres -D data -k /tmp -c "listen_addresses=*" -c jit=off -c shared_buffers=16MB`
const SITE = `until ${BIN}/psql -h db -U postgres -Atc 'select 1' >/dev/null 2>&1; do sleep 0.2; done
  until redis-cli -h cache ping >/dev/null 2>&1; do sleep 0.2; done
  ${BIN}/psql -h db -U postgres -Atc "create table if not exists words as select 'from the database' as word" >/dev/null 2>&1
  redis-cli -h cache set word 'from the cache' >/dev/null
  { ${BIN}/psql -h db -U postgres -Atc 'select word from words'; redis-cli -h cache get word; } > /srv/www/index.html
  exec httpd -f -p 80 -h /srv/www`

/** What a server of the host's own answers to bytes. */
async function ask(port: string, question: string | Buffer): Promise<string> {
  const socket = connect(Number(port), '127.0.0.1')
  try {
    socket.write(question)
    const [answer] = await once(socket, 'data')
    return String(answer)
  } finally {
    socket.destroy()
  }
}

const portOf = async (name: string) => (await ok('port', name)).replace(/^.*:/s, '')
const sql = (query: string) =>
  ok('exec', 'db', `${BIN}/psql`, '-h', '/tmp', '-U', 'postgres', '-Atc', query)
const answers = async (...command: string[]) => (await store.dray('exec', ...command)).code === 0
const isReady = () => answers('db', `${BIN}/psql`, '-h', '/tmp', '-U', 'postgres', '-c', 'select 1')

describe('PostgreSQL and Redis from Debian packages', { timeout: 900_000 }, () => {
  before(async () => {
    await ok('import', debianServices(), 'services:1')
    await ok('network', 'create', 'app')
    const run = (name: string, ...args: string[]) =>
      ok('run', '-d', '--network', 'app', '--name', name, '--restart', 'always', ...args)
    const db = ['-u', 'postgres', '-v', 'db:/srv/db', '-p', '127.0.0.1::5432']
    await run('db', ...db, 'services:1', 'sh', '-c', DATABASE)
    const cache = ['-v', 'cache:/srv/cache', '-p', '127.0.0.1::6379', 'services:1', 'redis-server']
    await run(
      'cache',
      ...cache,
      '--dir',
      '/srv/cache',
      '--appendonly',
      'yes',
      '--protected-mode',
      'no',
    )
    await run('site', '-p', '127.0.0.1::80', 'services:1', 'sh', '-c', SITE)
  })

  it('are found by name by a third container, which answers with what they hold', async () => {
    const url = `http://127.0.0.1:${await portOf('site')}/`
    let page = ''
    await until(
      'the site answers',
      async () => {
        page = await fetch(url).then(
          (answer) => answer.text(),
          () => '',
        )
        return page.includes('cache')
      },
      60_000,
    )
    assert.equal(page, 'from the database\nfrom the cache\n')
  })

  it('answer clients of the host at their published ports', async () => {
    const sslRequest = Buffer.from('0000000804d2162f', 'hex')
    assert.equal(await ask(await portOf('db'), sslRequest), 'N')
    assert.equal(await ask(await portOf('cache'), 'GET word\r\n'), '$14\r\nfrom the cache\r\n')
  })

  it('keep their data over a restart, and in another container with the same volume', async () => {
    await ok('restart', 'db', 'cache')
    await until('the database answers', isReady, 60_000)
    assert.equal(await sql('select word from words'), 'from the database')
    assert.equal(await ok('exec', 'cache', 'redis-cli', 'get', 'word'), 'from the cache')
    await ok('rm', '-f', 'db')
    await ok(
      'run',
      '-d',
      '-u',
      'postgres',
      '-v',
      'db:/srv/db',
      '--name',
      'db',
      'services:1',
      'sh',
      '-c',
      DATABASE,
    )
    await until('the database answers', isReady, 60_000)
    assert.equal(await sql('select word from words'), 'from the database')
  })
})
