#!/bin/sh
# Installs the erofs-utils of the next release of Debian, with the libraries that they need and this release lacks:
# `sh scripts/newer-erofs-utils.sh`, as root, with mmdebstrap.
set -eu

[ ! -e /usr/local/bin/fsck.erofs ] || exit 0

echo "installing newer Debian packages: erofs-utils"
dir=/opt/erofs-utils
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf "$dir"
# A mirror may be a copy whose lists have expired; their signatures are checked all the same.
mmdebstrap --variant=extract --include=erofs-utils --aptopt='Acquire::Check-Valid-Until "false"' \
  trixie "$dir" "$(sh "$(dirname "$0")/debian-mirror.sh")" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
loader=$(echo "$dir"/usr/lib/*/ld-linux-*.so.?)
cat >/usr/local/bin/fsck.erofs <<WRAPPER
#!/bin/sh
exec $loader --library-path ${loader%/*} $dir/usr/bin/fsck.erofs "\$@"
WRAPPER
chmod 755 /usr/local/bin/fsck.erofs
