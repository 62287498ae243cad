#!/bin/sh
# Builds the image for real where no container engine runs and no registry is at hand, and tries what came of it.
# It needs root, debootstrap, buildah and podman with runc. The base is Debian as debootstrap makes it, under the name
# of the official image: this tries the recipe, not that base.
#   tools/image.sh [SCRATCH]    what was made in SCRATCH is used again; without it everything is thrown away.
set -eu
cd "$(dirname "$0")/.."
scratch=${1:-}
if [ -z "$scratch" ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
fi
mkdir -p "$scratch/root" "$scratch/run" "$scratch/pip"
store="--root $scratch/root --runroot $scratch/run --storage-driver vfs"
base=docker.io/library/debian:bookworm-slim
path='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

if ! podman $store image exists "$base"; then
    echo "== base"
    [ -d "$scratch/debian" ] || debootstrap --variant=minbase bookworm "$scratch/debian" >"$scratch/debootstrap.log" 2>&1
    tar -C "$scratch/debian" -c . | podman $store import --quiet --change "$path" - "$base"
fi

echo "== build"
# The machine's certificates, for one that reaches the network by way of a proxy of its own.
cp /etc/ssl/certs/ca-certificates.crt "$scratch/pip/ca.crt"
printf '[global]\ncert = /pip/ca.crt\ntimeout = 180\n' >"$scratch/pip/pip.conf"
BUILDAH_FORMAT=docker buildah $store bud --isolation chroot --network host --pull-never --quiet \
    --volume "$scratch/pip:/pip:ro" --volume "$scratch/pip/pip.conf:/etc/pip.conf:ro" \
    --build-arg "BASE=$base" --tag interlock:try .

start() {
    podman $store --runtime runc --cgroup-manager cgroupfs run --rm --network host \
        --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --cap-drop ALL "$@" 2>"$scratch/podman.log"
}
sandboxed="--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt unmask=ALL"

echo "== version"
start interlock:try --version
echo "== doctor"
# 3: nothing is configured, which is as it should be.
start $sandboxed interlock:try doctor || [ $? -eq 3 ]
echo "== serve"
start --entrypoint sh interlock:try -euc '
    python3 - <<"KEY" >key.pem
import sys
sys.path.insert(0, "/opt/interlock/lib/python3.11/site-packages")
from bot.localhub.keys import new_key
print(new_key())
KEY
    export INTERLOCK_GITHUB_APP_ID=1 INTERLOCK_GITHUB_PRIVATE_KEY_FILE=key.pem INTERLOCK_WEBHOOK_SECRET=x
    export INTERLOCK_GITHUB_API_URL=http://127.0.0.1:1
    interlock serve --host 127.0.0.1 --port 8080 2>log & bot=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        sleep 1
        python3 -c "import urllib.request as u; u.urlopen(\"http://127.0.0.1:8080/health/ready\", timeout=4)" && break
    done 2>/dev/null
    python3 -c "import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8080/health/ready\", timeout=4).read().decode())"
    id
    kill -TERM "$bot"; wait "$bot"; echo "stopped with $?"
'
echo "== size"
podman $store save --format docker-archive interlock:try 2>/dev/null | gzip -6 | wc -c
