#!/bin/sh
# Installs clients that this release of Debian lacks, from packages of the next one that need nothing newer than libc:
# `sh scripts/newer-clients.sh PACKAGE...`, as root. The mirror is the one that apt uses for Debian already.
set -eu

missing=$(sh "$(dirname "$0")/missing-packages.sh" "$@")
[ -n "$missing" ] || exit 0

echo "installing newer Debian packages:$missing"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mirror=$(sh "$(dirname "$0")/debian-mirror.sh")
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
# A mirror may be a copy whose lists have expired; their signatures are checked all the same.
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no]" \
  "$mirror forky main" >"$work/sources.list"
cat >"$work/apt.conf" <<CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
CONF
cd "$work"
log=$work/log
# shellcheck disable=SC2086
{ APT_CONFIG=$work/apt.conf apt-get update -q &&
  APT_CONFIG=$work/apt.conf apt-get download -q $missing &&
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ./*.deb; } >"$log" 2>&1 ||
  { cat "$log" >&2; exit 1; }
