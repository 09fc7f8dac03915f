#!/bin/sh
# Installs the Debian packages that are missing, as root: `sh scripts/debian-packages.sh PACKAGE...`.
set -eu

missing=$(sh "$(dirname "$0")/missing-packages.sh" "$@")
[ -n "$missing" ] || exit 0

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
