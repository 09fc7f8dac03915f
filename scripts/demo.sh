#!/bin/sh
# The whole path, once: a root file system from Debian's packages becomes an image, goes to a registry, comes back
# into an empty store and runs. Needs Debian, root and Node; installs the rest. Leaves nothing but the packages.
set -eu
cd "$(dirname "$0")/.."

sh scripts/setup.sh runc mmdebstrap

work=$(mktemp -d "${TMPDIR:-/tmp}/dray-demo.XXXXXX")
registry=

clean_up() {
  status=$?
  trap - EXIT INT TERM
  if [ -n "$registry" ]; then
    kill "$registry" 2>/dev/null || true
    wait "$registry" 2>/dev/null || true
  fi
  rm -rf "$work"
  if [ "$status" -eq 0 ]; then echo 'cleaned up'; else echo "the demo failed with status $status" >&2; fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now() { date +%s%N; }
times=
# step TITLE COMMAND...: shows the command, runs it and notes how long it took
step() {
  title=$1
  shift
  printf '\n# %s\n$ %s\n' "$title" "$*"
  from=$(now)
  "$@"
  took=$((($(now) - from) / 1000000))
  times="$times$(printf '%8d ms  %s' "$took" "$title")
"
}

make_root() {
  mirror=$(sed -nE 's/^(URIs:|deb)[[:space:]]+(\[[^]]*\][[:space:]]+)?(https?:[^[:space:]]+).*/\3/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
  mmdebstrap --quiet --mode=root --variant=minbase --aptopt='Acquire::Languages "none"' \
    bookworm "$work/debian.tar" "${mirror:-http://deb.debian.org/debian}"
  ls -l "$work/debian.tar" | awk '{ printf "%.0f MB\n", $5 / 1e6 }'
}

start_registry() {
  bin/dray serve --listen 127.0.0.1:0 --data "$work/registry" >"$work/registry.log" 2>&1 &
  registry=$!
  until grep -q 'listening on' "$work/registry.log"; do
    if ! kill -0 "$registry" 2>/dev/null; then
      cat "$work/registry.log" >&2
      exit 1
    fi
    sleep 0.1
  done
  host=$(sed -n 's|.*listening on http://\([0-9.:]*\).*|\1|p' "$work/registry.log" | head -n 1)
  image=$host/demo/debian:12
  echo "listening on $host"
}

step 'make a root file system from Debian packages' make_root
step 'start the registry' start_registry
step 'make an image of it' bin/dray import --root "$work/store-a" --cmd '["bash"]' \
  --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$work/debian.tar" "$image"
step 'push it' bin/dray push --root "$work/store-a" "$image"
step 'pull it into an empty store' bin/dray pull --root "$work/store-b" "$image"
step 'pull it once more: nothing to do' bin/dray pull --root "$work/store-b" "$image"
step 'run a command in it' bin/dray run --root "$work/store-b" --rm "$image" \
  sh -c 'grep PRETTY_NAME /etc/os-release; echo "I am process $$ of $(ls -d /proc/[0-9]* | wc -l), on $(cat /etc/hostname)"'

printf '\n# how long each step took\n%s' "$times"
