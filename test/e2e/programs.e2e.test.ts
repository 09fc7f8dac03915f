/** Programs of Debian's packages below our seccomp profile and capabilities; PostgreSQL and Redis are in services.e2e.test.ts. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'
import { debianImages } from '../support/debian-image.ts'

const store = containerStore()
const NAME = 'docker.io/library/programs:1'

const run = (script: string) =>
  store.ok('run', '--rm', '--network', 'none', 'programs:1', 'sh', '-ec', script)

/** Threads, a fork, a pipe and a timer, by the compiler and the libc of the image. */
const C = `cd /tmp; printf '%s\\n' '#include <pthread.h>' '#include <stdio.h>' '#include <sys/wait.h>' '#include <unistd.h>' \
  'static void *work(void *p) { return p; }' \
  'int main(void) { pthread_t t; int s; if (pthread_create(&t, 0, work, 0) || pthread_join(t, 0)) return 1;' \
  'if (fork() == 0) _exit(7); wait(&s); printf("%d\\n", WEXITSTATUS(s)); }' > a.c; gcc -O2 -pthread -o a a.c; ./a`

const NODE = `node -e "
  const { Worker } = require('worker_threads'); const { execFileSync } = require('child_process')
  const text = String(execFileSync('echo', ['child'])).trim()
  new Worker('require(\\'worker_threads\\').parentPort.postMessage(1)', { eval: true }).on('message', () => console.log(text))"`

/** Processes with shared memory and locks, a thread, a child, and an event loop with sockets. */
const PYTHON = `cat > /tmp/a.py <<'END'
import asyncio, multiprocessing, subprocess, threading
async def ask():
    async def answer(reader, writer):
        writer.write(await reader.readline()); writer.close()
    server = await asyncio.start_server(answer, '127.0.0.1', 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b'asked\\n')
    return (await reader.readline()).decode().strip()
if __name__ == '__main__':
    said = []
    thread = threading.Thread(target=lambda: said.append(subprocess.check_output(['echo', 'child']).decode().strip()))
    thread.start(); thread.join()
    with multiprocessing.Pool(2) as pool: said += pool.map(abs, [-1, -2])
    print(*said, asyncio.run(ask()))
END
python3 /tmp/a.py`

/** apt-get gives up rights, and dpkg changes owners, syncs and runs scripts. */
const APT = `mkdir -p /tmp/p/DEBIAN /tmp/p/opt; echo made > /tmp/p/opt/made
  printf 'Package: made\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: a\\n' > /tmp/p/DEBIAN/control
  dpkg-deb --build /tmp/p /tmp/made.deb >/dev/null
  apt-get install -y -qq /tmp/made.deb >/dev/null 2>&1; dpkg-query -W -f '\${Status}\\n' made; cat /opt/made`

describe('programs of Debian’s packages, as a container has them', { timeout: 900_000 }, () => {
  before(() => {
    const target = `oci:${join(store.root, 'content')}:${NAME}`
    const source = `oci:${debianImages().app}:latest`
    execFileSync('skopeo', ['--insecure-policy', 'copy', '-q', source, target])
  })

  for (const [program, script, said] of [
    ['gcc compiles, and threads and processes run', C, '7'],
    ['node runs, with a thread and a child', NODE, 'child'],
    ['apt-get installs', APT, 'install ok installed\nmade'],
    ['python runs, with processes, a thread and sockets', PYTHON, 'child 1 2 asked'],
    ['perl runs', `perl -e 'print 6 * 7'`, '42'],
  ] as const) {
    it(program, async () => {
      assert.equal(await run(script), said)
    })
  }
})
