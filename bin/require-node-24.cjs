// Preloaded on a Node that Dray did not choose, before code that an older one can't even parse.
const path = require('node:path')

if (Number.parseInt(process.versions.node, 10) < 24) {
  const root = path.dirname(__dirname)
  process.stderr.write(
    `dray: it needs Node 24, and ${process.execPath} is ${process.version}: run 'npm ci' in ${root}, or install Node 24 or newer\n`,
  )
  process.exit(1)
}
