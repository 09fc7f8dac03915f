#!/bin/sh
# Names those of some Debian packages that are not installed: `sh scripts/missing-packages.sh PACKAGE...`.
set -eu

for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf ' %s' "$package"
done
