#!/bin/sh
# Fetches the pinned packages that the recipe reads, checks each archive's SHA-256 and
# unpacks them. Needs npm, apt-get and dpkg; no root.
#
# usage: fetch.sh [WORK]        (default WORK: data/drawings)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=${1:-data/drawings}
mkdir -p "$work/archives" "$work/npm" "$work/deb"
work=$(cd "$work" && pwd)
sums=$here/packages.sha256
. "$here/../common/fetch_lib.sh"

case $(uname -m) in
x86_64) cpu=x64 ;;
aarch64) cpu=arm64 ;;
*) fail "no renderer is pinned for $(uname -m)" ;;
esac

npm_get @iconify/json 2.2.535 iconify-json-2.2.535.tgz
npm_get @lobehub/fluent-emoji-3d 1.1.0 lobehub-fluent-emoji-3d-1.1.0.tgz
npm_get emojibase-data 17.0.0 emojibase-data-17.0.0.tgz
npm_get openmoji 17.0.0 openmoji-17.0.0.tgz
npm_get @resvg/resvg-js 2.6.2 resvg-resvg-js-2.6.2.tgz
npm_get "@resvg/resvg-js-linux-$cpu-gnu" 2.6.2 "resvg-resvg-js-linux-$cpu-gnu-2.6.2.tgz"
deb_get openclipart-svg 1:0.18+dfsg-19
deb_get sweethome3d-furniture 1.8-1
deb_get tuxpaint-stamps-default 2022.06.04-1
deb_get dataset-fashion-mnist 0.0~git20200523.55506a9-1
mkdir -p "$work/node_modules/@resvg"
for part in resvg-js "resvg-js-linux-$cpu-gnu"; do
    ln -sfn "../../npm/@resvg/$part" "$work/node_modules/@resvg/$part"
done
echo "packages are unpacked in $work"
