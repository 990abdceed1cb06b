# Functions that get pinned packages, check each archive's SHA-256 and unpack it.  Read by
# the recipes' fetch.sh, which set:
#   work   where archives/, npm/, deb/ and wheel/ go (an absolute path)
#   sums   the list of SHA-256, a file of `sha256sum`
# Needs npm, apt-get with dpkg, pip or whatever of these is asked for; no root.

fail()
{
    echo "fetch.sh: $*" >&2
    exit 1
}

# check FILE: compares a file in archives/ with the committed list.
check()
{
    want=$(awk -v f="$1" '$2 == f { print $1 }' "$sums")
    [ -n "$want" ] || fail "$1: not in $sums"
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
    mkdir -p "$work/deb"
    dpkg -x "$work/archives/$file" "$work/deb/$1.part"
    mv "$work/deb/$1.part" "$work/deb/$1"
}

# wheel_get NAME VERSION ARCHIVE
wheel_get()
{
    [ -f "$work/archives/$3" ] || {
        echo "fetching $1 $2"
        (cd "$work/archives" && python3 -m pip -q download --no-deps "$1==$2") ||
            fail "pip download $1==$2 failed"
    }
    check "$3"
    [ -d "$work/wheel/$1" ] && return
    rm -rf "$work/wheel/$1.part"
    mkdir -p "$work/wheel"
    python3 -m zipfile -e "$work/archives/$3" "$work/wheel/$1.part"
    mv "$work/wheel/$1.part" "$work/wheel/$1"
}
