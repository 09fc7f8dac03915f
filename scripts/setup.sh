#!/bin/sh
# Installs what is missing: `sh scripts/setup.sh PACKAGE...` for Debian packages (as root), and the npm packages.
set -eu
cd "$(dirname "$0")/.."

[ $# -eq 0 ] || sh scripts/debian-packages.sh "$@"

# npm writes its own list of what it installed; older than ours means that ours has changed.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ] ||
  [ ! -e dist/cli/main.js ]; then
  echo 'installing npm packages'
  npm ci --no-audit --no-fund --loglevel=error
fi
