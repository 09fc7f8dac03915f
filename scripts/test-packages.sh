#!/bin/sh
# Installs the Debian packages that the tests need, and newer ones of a few programs. Needs Debian and root.
set -eu
cd "$(dirname "$0")/.."

sh scripts/debian-packages.sh runc crun conmon iproute2 nftables aardvark-dns catatonit socat uidmap slirp4netns passt procps skopeo podman buildah docker.io containerd umoci mmdebstrap busybox-static attr acl libcap2-bin zstd xz-utils bzip2 curl zsh fish \
  libisal2 ceph-mon ceph-osd radosgw docker-compose
sh scripts/newer-clients.sh crane oras
sh scripts/newer-erofs-utils.sh
