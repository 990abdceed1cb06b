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

case $(uname -m) in
x86_64) cpu=x64 ;;
aarch64) cpu=arm64 ;;
*) echo "fetch.sh: no renderer is pinned for $(uname -m)" >&2; exit 1 ;;
esac

fail()
{
    echo "fetch.sh: $*" >&2
    exit 1
}

# check FILE: compares a file in archives/ with the committed list.
check()
{
    want=$(awk -v f="$1" '$2 == f { print $1 }' "$sums")
    [ -n "$want" ] || fail "$1: not in packages.sha256"
    echo "$want  $1" | (cd "$work/archives" && sha256sum --quiet -c -) ||
        fail "$1: wrong SHA-256, remove it and try again"
}

# npm_get NAME VERSION ARCHIVE
npm_get()
{
    [ -f "$work/archives/$3" ] || {
        echo "fetching $1 $2"
        (cd "$work/archives" && npm pack --silent "$1@$2" >/dev/null 2>&1) ||
            fail "npm pack $1@$2 failed"
    }
    check "$3"
    [ -d "$work/npm/$1" ] && return
    rm -rf "$work/npm/$1.part"
    mkdir -p "$work/npm/$1.part"
    tar -xzf "$work/archives/$3" -C "$work/npm/$1.part" --strip-components=1 \
        --no-same-owner
    mv "$work/npm/$1.part" "$work/npm/$1"
}

# deb_get NAME VERSION: Debian writes the colon of an epoch as %3a in file names.
deb_get()
{
    file=$1_$(echo "$2" | sed 's/:/%3a/')_all.deb
    [ -f "$work/archives/$file" ] || {
        echo "fetching $1 $2"
        (cd "$work/archives" && apt-get -qq download "$1=$2" 2>/dev/null) ||
            fail "apt-get download $1=$2 failed (Debian 12 has this version)"
    }
    check "$file"
    [ -d "$work/deb/$1" ] && return
    rm -rf "$work/deb/$1.part"
    dpkg -x "$work/archives/$file" "$work/deb/$1.part"
    mv "$work/deb/$1.part" "$work/deb/$1"
}

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
