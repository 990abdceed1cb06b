#!/bin/sh
# The approximate index: made, told, completed, started in the background, passed over where it is
# damaged or FAISS is not installed; the answers are the exact scan's.
. tests/cli/harness.sh
# Its tests change the working folder.
T=$PWD/$T M=$PWD/$M
export XDG_DATA_HOME="$T/data"
unset CLIPC_MODEL
FILE=$XDG_DATA_HOME/clipc/1.1.vectors.faiss
exactly() { # exactly QUERY: what the exact scan answers, in $T/exact
    run 0 search -m $M "$1" --exact --no-update && cp "$T/out" "$T/exact"
}
same() { # same QUERY: the approximate index answers so, too, without a word
    exactly "$1" && run 0 search -m $M "$1" --approximate --no-update && cmp -s "$T/out" "$T/exact" && [ ! -s "$T/err" ]
}
made() { # by name, with its recall; stats tell it
    run 0 index build --kind hnsw && grep -q '^  approximate  hnsw of 8 vectors, .* MB, finds 100.0 % of the 10 best$' "$T/out" &&
        grep -q '^  made .* s; a query takes .* ms, exactly .* ms$' "$T/out" && [ -s "$FILE" ] &&
        run 0 index stats -m $M && grep -q '^  approximate  hnsw of 8 vectors' "$T/out" &&
        run 0 index stats -m $M --json && grep -q '"approximate":{"kind":"hnsw","vectors":8,.*"recall_at_10":1.0000}}' "$T/out"
}
changes() { # what is new is found at once, what is gone is not; a second build takes in the new
    cp $M/photo.jpg . && run 0 search -m $M ./photo.jpg --approximate -n 1 && grep -q '^ 1.000.  photo.jpg$' "$T/out" &&
        run 0 index build && grep -q '^  approximate  hnsw of 9 vectors' "$T/out" && grep -q '^  grown' "$T/out" &&
        run 0 index build && ! grep -q 'grown\|made' "$T/out" && same ./photo.jpg && mv photo.jpg .. && same ../photo.jpg &&
        run 0 search -m $M ../photo.jpg --approximate && ! grep -q photo.jpg "$T/out" && same ../photo.jpg
}
damaged() { # told in a line, and the answer is the exact scan's; made again
    cp "$FILE" "$T/good" && printf '\377' | dd of="$FILE" bs=1 seek=4200 conv=notrunc 2>/dev/null && exactly 'a dog' &&
        run 0 search -m $M 'a dog' --approximate --no-update && cmp -s "$T/out" "$T/exact" && [ "$(wc -l <"$T/err")" = 1 ] &&
        grep -q '1.1.vectors.faiss: damaged; searched exactly$' "$T/err" || return 1
    echo nothing >"$FILE" && run 0 search -m $M 'a dog' --no-update --approximate && cmp -s "$T/out" "$T/exact" &&
        grep -q 'ends within its header; searched exactly' "$T/err" && run 0 index build --kind hnsw &&
        grep -q '^  made' "$T/out" && same 'a dog'
}
background() { # a search of enough vectors starts it, and does not wait; not twice within ten minutes
    rm -f "$FILE" "$XDG_DATA_HOME/clipc/faiss.lock" && run 0 search -m $M 'a dog' --no-update && sleep 1 && [ ! -e "$FILE" ] || return 1
    CLIPC_APPROXIMATE_FROM=8 run 0 search -m $M 'a dog' --no-update || return 1
    n=0
    while [ ! -e "$FILE" ] && [ $n -lt 300 ]; do sleep 0.2 && n=$((n + 1)); done
    [ -e "$FILE" ] && same 'a dog' && sleep 1 && rm "$FILE" || return 1
    CLIPC_APPROXIMATE_FROM=8 run 0 search -m $M 'a dog' --no-update && sleep 1 && [ ! -e "$FILE" ]
}
wrong() { # one line that says what is wrong
    run 2 index build --kind tree && [ "$(wc -l <"$T/err")" = 1 ] && run 3 index build -i "$T/none" && [ "$(wc -l <"$T/err")" = 1 ] &&
        run 3 index build --kind ivf-pq && grep -q 'IVF-PQ wants 1024 vectors' "$T/err" && [ "$(wc -l <"$T/err")" = 1 ]
}
missing() { # without FAISS all but this is as it was
    run 0 index build && mkdir "$T/bin" && cp "$CLIPC" "$T/bin/clipc" && exactly 'a dog' || return 1
    CLIPC=$T/bin/clipc
    run 0 search -m $M 'a dog' --no-update --approximate && cmp -s "$T/out" "$T/exact" &&
        grep -q 'libclipc_faiss.so is not installed; searched exactly$' "$T/err" && rm "$FILE" && run 3 index build &&
        [ "$(wc -l <"$T/err")" = 1 ] && grep -q 'libclipc_faiss.so is not installed' "$T/err"
}
mkdir "$T/photos" && for f in rgb_64x64 rgb_41x29 rgb_33x64 rgb_32x80 rgb_45x140 grey palette rgba; do
    cp tests/golden/pixels/$f.png "$T/photos/"
done
cd "$T/photos" && run 0 index add . -m $M || status=1
if ! run 0 index build && grep -q 'is not installed' "$T/err"; then
    echo 'skip approximate (libclipc_faiss.so is not installed)'
    exit $status
fi
rm -f "$FILE"
for test in made changes damaged background wrong missing; do expect "approximate: $test" $test; done
exit $status
