#!/bin/sh
# Installs what the tests need and runs every tier: unit, root, S3 on a real Ceph, real clients. Needs Debian and root.
set -eu
cd "$(dirname "$0")/.."

sh scripts/test-packages.sh
sh scripts/setup.sh

PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node scripts/test.ts unit root s3 e2e
