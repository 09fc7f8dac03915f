#!/bin/sh
# Installs what the tests need and runs every tier: unit, root, S3 on a real Ceph, real clients. Needs Debian and root.
set -eu
cd "$(dirname "$0")/.."

sh scripts/setup.sh runc crun conmon iproute2 nftables aardvark-dns catatonit socat uidmap slirp4netns passt procps skopeo podman buildah docker.io containerd umoci mmdebstrap busybox-static attr acl libcap2-bin zstd xz-utils bzip2 curl zsh fish \
  libisal2 ceph-mon ceph-osd radosgw docker-compose
sh scripts/newer-clients.sh crane oras
sh scripts/newer-erofs-utils.sh

PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node scripts/test.ts unit root s3 e2e
