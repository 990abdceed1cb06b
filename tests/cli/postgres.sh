#!/bin/sh
# search and index with --store: many share an index in PostgreSQL, on a server of this test's own.
. tests/cli/harness.sh
# Its tests change the working folder.
ROOT=$PWD T=$PWD/$T M=$PWD/$M
CLIPC_TEST_PG=
end() {
    [ -z "$CLIPC_TEST_PG" ] || echo "$CLIPC_TEST_PG" | sh "$ROOT/tests/pg/server.sh" stop
    rm -rf "$T"
}
trap end EXIT
export XDG_DATA_HOME="$T/data"
unset CLIPC_MODEL
one_line() { [ "$(wc -l <"$T/err")" = 1 ] && ! grep -q 's3cret' "$T/err"; }
sql() { sh "$ROOT/tests/pg/server.sh" psql -c "$1"; }
fresh() { # no index, and a folder of four pictures and a broken one that is the working folder
    sql 'DROP SCHEMA IF EXISTS clipc CASCADE' 2>/dev/null && rm -rf "$T/data" "$T/photos" &&
        mkdir -p "$T/photos/in" && cd "$T/photos" && cp $M/photo.jpg $M/drawing.png . &&
        cp $M/picture.webp in/ && cp $M/photo.jpg in/copy.jpg && echo no >broken.jpg
}
three() { sed -i 's/\("score":-\{0,1\}[0-9]\.[0-9]\{3\}\)[0-9]*/\1/' "$1"; } # digits of the scores; sums differ in the last
same() { # same SEARCH...: the same answers from the server as from a folder
    run 0 search -m $M --json "$@" && cp "$T/out" "$T/want" &&
        run 0 search -m $M --json --store "$CLIPC_TEST_PG" "$@" && three "$T/out" && three "$T/want" &&
        cmp "$T/out" "$T/want" && [ -s "$T/out" ]
}

# ---- without a server ----

library() { # that is not there is missed by name
    mkdir -p "$T/lib" && : >"$T/lib/libpq.so.5"
    LD_LIBRARY_PATH="$T/lib" run 3 index stats -m $M --store postgresql://me:s3cret@here/db && one_line &&
        grep -q 'libpq' "$T/err"
}
wrong() { # one line that says why, without the password
    run 2 index stats -m $M --store mysql://me:s3cret@here/db && one_line &&
        grep -q 'wants postgresql://USER@HOST/DATABASE' "$T/err" &&
        run 3 index stats -m $M --store postgresql://me:s3cret@127.0.0.1:1/db && one_line &&
        grep -q '^clipc: postgresql://me@127.0.0.1:1/db: .*refused' "$T/err" &&
        run 3 index stats -m $M --store postgresql://me:s3cret/@s3cret@127.0.0.1/db && one_line
}

# ---- with one ----

answers() {
    fresh && same the number 42 && same @photo.jpg - zoo -n 2 && same --like photo.jpg -n 1 --in in &&
        same x --in '*.png' && same x --shape portrait --min-size 100 && same a cat --not zoo --after 2001 &&
        same x --all --min-score -1
}
stays_true() {
    fresh && run 1 index add . -m $M --store "$CLIPC_TEST_PG" &&
        grep -q '3 embedded, 1 known by content, 0 unchanged, 0 removed, 1 failed' "$T/out" &&
        mv in/copy.jpg moved.jpg && rm drawing.png &&
        run 1 index update -m $M --store "$CLIPC_TEST_PG" &&
        grep -q '0 embedded, 1 known by content, 2 unchanged, 2 removed, 1 failed' "$T/out" &&
        run 0 index list -m $M --store "$CLIPC_TEST_PG" --failed && grep -q 'broken.jpg' "$T/out" &&
        run 0 index remove in -m $M --store "$CLIPC_TEST_PG" && grep -q ': 1 removed' "$T/out" &&
        run 0 index stats -m $M --store "$CLIPC_TEST_PG" --json &&
        grep -q '"pictures":1,"failed":1,"dim":16,"models":1,"bytes":[1-9]' "$T/out"
}
exports() { # from one index into another
    fresh && run 1 index add . -m $M && run 0 index export "$T/vectors" -m $M && cp "$T/vectors/keys.jsonl" "$T/keys" &&
        run 0 index import "$T/vectors" -m $M --store "$CLIPC_TEST_PG" &&
        run 0 index export "$T/again" -m $M --store "$CLIPC_TEST_PG" && cmp "$T/again/keys.jsonl" "$T/keys" &&
        { [ "$(sql 'SELECT type FROM clipc.space')" = F32 ] || cmp "$T/again/vectors.npy" "$T/vectors/vectors.npy"; }
}
several() { # machines at a time
    fresh && rm broken.jpg || return 1
    for i in 1 2 3; do
        "$CLIPC" index add . -m $M --store "$CLIPC_TEST_PG" >"$T/out.$i" 2>&1 &
        eval "p$i=$!"
    done
    wait $p1 && wait $p2 && wait $p3 && [ "$(sql 'SELECT count(*), count(DISTINCT hash) FROM clipc.item')" = '4|3' ] &&
        [ "$(sql 'SELECT count(*) FROM clipc.vector_1')" = 3 ]
}
documented() { # FORMAT.md's query finds what is nearest to a picture: itself and its copy
    fresh && run 1 index add . -m $M --store "$CLIPC_TEST_PG" || return 1
    query=$(sed -n '/^```sql/,/^```/p' "$ROOT/FORMAT.md" | grep -v '^```' | sed "s|/photos/pool.jpg|$PWD/photo.jpg|")
    sql "$query" >"$T/out" && [ "$(head -2 "$T/out" | sort)" = "$PWD/in/copy.jpg|1.000
$PWD/photo.jpg|1.000" ] && [ "$(wc -l <"$T/out")" = 4 ]
}
refused() {
    fresh && run 3 search x -m $M --store "$CLIPC_TEST_PG" --no-update && one_line && grep -q ': no index$' "$T/err" &&
        run 3 index stats -m $M --store "$(echo "$CLIPC_TEST_PG" | sed 's/clipc:s3cret/clipc:s3cret2/')" && one_line &&
        grep -q 'password authentication failed' "$T/err" &&
        run 3 index verify --store "$CLIPC_TEST_PG" && one_line &&
        run 3 dedup . -m $M --store "$CLIPC_TEST_PG" && grep -q 'in a folder$' "$T/err"
}
case $("$CLIPC" --version) in
*libpq*) ;;
*) echo 'skip postgres (this clipc is built without libpq)'; exit 0 ;;
esac
for test in library wrong; do
    expect "postgres: $test" $test
    cd "$ROOT"
done
export CLIPC_TEST_PG=$(sh tests/pg/server.sh start 2>/dev/null)
for test in answers stays_true exports several documented refused; do
    cd "$ROOT"
    if [ -n "$CLIPC_TEST_PG" ]; then expect "postgres: $test" $test
    else echo "skip postgres: $test (no PostgreSQL with pgvector: tests/pg/server.sh)"; fi
done
exit $status
