#!/bin/sh
# make install: command, library, headers, pkg-config file, bundled models, man page.
# Takes PREFIX, DESTDIR, B (the build folder), VERSION and PKGS from the environment.
set -eu
to=${DESTDIR:-}${PREFIX:?}
install -d "$to/bin" "$to/lib/pkgconfig" "$to/include" "$to/share/man/man1" "$to/share/clipc/models"
install -m 755 "$B/clipc" "$to/bin/clipc"
install -m 644 "$B/libclipc.a" "$to/lib/libclipc.a"
install -m 755 "$B/libclipc.so" "$to/lib/libclipc.so.0"
[ ! -e "$B/libclipc_faiss.so" ] || install -m 755 "$B/libclipc_faiss.so" "$to/lib/libclipc_faiss.so"
ln -sf libclipc.so.0 "$to/lib/libclipc.so"
install -m 644 include/clipc.h include/clipc_hub.h include/clipc_index.h \
    include/clipc_train.h "$to/include/"
install -m 644 docs/clipc.1 "$to/share/man/man1/clipc.1"
cp -r models/. "$to/share/clipc/models/"
cat >"$to/lib/pkgconfig/clipc.pc" <<PC
prefix=$PREFIX
Name: clipc
Description: CLIP in C
Version: $VERSION
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lclipc
Requires.private: $PKGS
Libs.private: -lpthread -ldl -lm
PC
echo "installed in $to"
