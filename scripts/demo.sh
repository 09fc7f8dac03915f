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
# step TITLE COMMAND...: runs a step and notes how long it took
step() {
  title=$1
  shift
  printf '\n# %s\n' "$title"
  from=$(now)
  "$@"
  took=$((($(now) - from) / 1000000))
  times="$times$(printf '%8d ms  %s' "$took" "$title")
"
}

# show COMMAND...: prints a command as one would type it, and runs it
show() {
  printf '$'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=@-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  "$@"
}

make_root() {
  mirror=$(sed -nE 's/^(URIs:|deb)[[:space:]]+(\[[^]]*\][[:space:]]+)?(https?:[^[:space:]]+).*/\3/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
  show mmdebstrap --quiet --mode=root --variant=minbase bookworm "$work/debian.tar" \
    "${mirror:-http://deb.debian.org/debian}"
  du -h "$work/debian.tar"
}

start_registry() {
  echo "\$ bin/dray serve --listen 127.0.0.1:0 --data $work/registry &"
  bin/dray serve --listen 127.0.0.1:0 --data "$work/registry" >"$work/registry.log" 2>&1 &
  registry=$!
  until grep 'listening on' "$work/registry.log"; do
    if ! kill -0 "$registry" 2>/dev/null; then
      cat "$work/registry.log" >&2
      exit 1
    fi
    sleep 0.1
  done
  host=$(sed -n 's|.*listening on http://\([0-9.:]*\).*|\1|p' "$work/registry.log" | head -n 1)
  image=$host/demo/debian:12
}

path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
greeting='. /etc/os-release; echo "This is $PRETTY_NAME on $(cat /etc/hostname), and I am process $$."'

step 'make a root file system from Debian packages' make_root
step 'start the registry' start_registry
step 'make an image of it' show bin/dray import --root "$work/here" --cmd '["bash"]' --env "PATH=$path" \
  "$work/debian.tar" "$image"
step 'push it' show bin/dray push --root "$work/here" "$image"
step 'pull it into an empty store' show bin/dray pull --root "$work/there" "$image"
step 'pull it again: nothing to do' show bin/dray pull --root "$work/there" "$image"
step 'run a command in it' show bin/dray run --root "$work/there" --rm --network none "$image" sh -c "$greeting"

printf '\n# how long each step took\n%s' "$times"
