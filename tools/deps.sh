#!/bin/sh
# Installs the packages that building and testing clipc needs, where apt is at hand and we
# may use it; elsewhere prints what to install.  Does nothing when nothing is missing.
set -u
missing=
need() { # need PACKAGE TEST...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
header() { printf '#include <stddef.h>\n#include <stdio.h>\n#include <%s>\n' "$1" | cc -E -x c - ; }
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
need libpthreadpool-dev header pthreadpool.h
need libcmocka-dev pkg-config --exists cmocka
if [ "${CLIPC_DEPS:-all}" = all ]; then
    need clang command -v clang
    need clang-format command -v clang-format
    need libclang-rt-14-dev asan
fi

[ -n "$missing" ] || exit 0
as_root=
if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || command -v sudo >/dev/null; }; then
    echo "installing:$missing"
    $as_root apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq \
            --no-install-recommends $missing >/dev/null && exit 0
fi
echo "clipc needs these packages (Debian's names):$missing" >&2
exit 1
