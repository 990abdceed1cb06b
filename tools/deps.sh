#!/bin/sh
# Installs the packages that building and testing clipc needs, where apt is at hand and we
# may use it; elsewhere prints what to install.  Does nothing when nothing is missing.
set -u
missing= wanted=
need() { # need PACKAGE TEST...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
want() { # the same, of what clipc can be built without
    package=$1
    shift
    "$@" >/dev/null 2>&1 || wanted="$wanted $package"
}
asan() {
    printf 'int main(void){return 0;}\n' |
        clang -fsanitize=address,fuzzer-no-link -x c - -o /dev/null
}

need gcc command -v gcc
need pkg-config command -v pkg-config
need libpcre2-dev pkg-config --exists libpcre2-8
need libutf8proc-dev pkg-config --exists libutf8proc
need libjpeg-dev pkg-config --exists libjpeg
need libpng-dev pkg-config --exists libpng
need libwebp-dev pkg-config --exists libwebp
need libjansson-dev pkg-config --exists jansson
need libarchive-dev pkg-config --exists libarchive
need nettle-dev pkg-config --exists nettle
need libsqlite3-dev pkg-config --exists sqlite3
need libxxhash-dev pkg-config --exists libxxhash
need libcmocka-dev pkg-config --exists cmocka
want libtiff-dev pkg-config --exists libtiff-4
want libheif-dev pkg-config --exists libheif
want libjxl-dev pkg-config --exists libjxl
want libraw-dev pkg-config --exists libraw_r
want libavformat-dev pkg-config --exists libavformat
want libswscale-dev pkg-config --exists libswscale
want libcurl4-openssl-dev pkg-config --exists libcurl
want "libchafa-dev libglib2.0-dev" pkg-config --exists chafa
want libpq-dev pkg-config --exists libpq
want g++ command -v g++
want libfaiss-dev test -e /usr/include/faiss/IndexHNSW.h
if [ "${CLIPC_DEPS:-all}" = all ]; then
    need clang command -v clang
    need clang-format command -v clang-format
    need libclang-rt-14-dev asan
    # To play the hub in its tests, which are skipped otherwise.
    want python3 command -v python3
    want openssl command -v openssl
fi

[ -n "$missing$wanted" ] || exit 0
as_root=
if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || command -v sudo >/dev/null; }; then
    echo "installing:$missing$wanted"
    $as_root apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq \
            --no-install-recommends $missing $wanted >/dev/null && exit 0
fi
[ -z "$wanted" ] || echo "clipc is built without (Debian's names):$wanted" >&2
[ -n "$missing" ] || exit 0
echo "clipc needs these packages (Debian's names):$missing" >&2
exit 1
