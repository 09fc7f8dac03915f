#!/bin/sh
# Installs what is missing: `sh scripts/setup.sh PACKAGE...` for Debian packages (as root), and the npm packages.
set -eu
cd "$(dirname "$0")/.."

missing=
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "these Debian packages are missing, and only root can install them:$missing" >&2
    exit 1
  fi
  echo "installing Debian packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # The list may be old or not there at all: fetch it when the first try fails.
  # shellcheck disable=SC2086
  apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1 ||
    { apt-get update -q >"$log" 2>&1 && apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1; } ||
    { cat "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
fi

# npm writes its own list of what it installed; older than ours means that ours has changed.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ] ||
  [ ! -e dist/cli/main.js ]; then
  echo 'installing npm packages'
  npm ci --no-audit --no-fund --loglevel=error
fi
