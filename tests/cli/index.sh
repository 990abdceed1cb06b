#!/bin/sh
# search and index: a folder stays true whatever becomes of its files, and answers are found in it.
. tests/cli/harness.sh
# Its tests change the working folder.
T=$PWD/$T M=$PWD/$M
PIXELS=$PWD/tests/golden/pixels DATED=$PWD/tests/golden/dated BURST=$PWD/tests/golden/burst
export XDG_DATA_HOME="$T/data"
unset CLIPC_MODEL
fresh() { # an empty index, and a folder of five pictures that is the working folder
    chmod -R u+rwx "$T/data" "$T/photos" 2>/dev/null
    rm -rf "$T/data" "$T/photos" && mkdir -p "$T/photos/in" && cd "$T/photos" &&
        cp $PIXELS/rgb_64x64.png $PIXELS/rgb_41x29.png . && cp $M/photo.jpg $M/drawing.png in/ &&
        cp $M/picture.webp in/
}
search() { run 0 search -m $M "$@"; }
update() { run "$1" index update -m $M . && grep -q "^\.: $2\$" "$T/out" || { cat "$T/out" "$T/err"; return 1; }; }
line() { sed -n "$1p" "$T/out"; }

golden() { # cosines of open_clip: logits of golden.json by the model's scale of 14.2857, vectors in half precision
    fresh && search 'a photo of the number 42.' --json &&
        [ "$(wc -l <"$T/out")" = 5 ] && [ -f "$XDG_DATA_HOME/clipc/catalogue.sqlite" -o -d "$XDG_DATA_HOME/clipc" ] || return 1
    for pair in photo.jpg:2.63606 drawing.png:5.44028; do
        sed -n "s|.*in/${pair%%:*}\",\"score\":\([-0-9.]*\).*|\1|p" "$T/out" |
            awk -v want="${pair##*:}" -v scale="$SCALE" \
                '{n++; d = $1 - want / scale; if (d < -1e-3 || d > 1e-3) bad = 1} END {exit n != 1 || bad}' || return 1
    done
}
itself() { # a picture is nearest to itself: as a file, marked, on standard input, from another folder
    fresh && search ./in/photo.jpg -n 1 && grep -q '^ 1.00.*  in/photo.jpg$' "$T/out" &&
        search --like in/photo.jpg -n 1 && grep -q 'in/photo.jpg' "$T/out" || return 1
    "$CLIPC" search -m $M @- -n 1 <in/drawing.png | grep -q 'in/drawing.png' &&
        cp in/drawing.png "$T/no_ending" && search "@$T/no_ending" -n 1 && grep -q 'in/drawing.png' "$T/out" &&
        cd in && search ./drawing.png -n 9 && [ "$(line 1 | cut -c10-)" = drawing.png ] && [ "$(wc -l <"$T/out")" = 3 ]
}
sums() { # a + b is between both; minus takes it away; weights weigh; words are one text
    fresh && search in/photo.jpg + in/drawing.png -n 2 && grep -q photo "$T/out" && grep -q drawing "$T/out" &&
        search 5:in/photo.jpg + in/drawing.png -n 1 && grep -q photo "$T/out" &&
        search in/photo.jpg + 5:in/drawing.png -n 1 && grep -q drawing "$T/out" &&
        search in/photo.jpg - in/drawing.png && [ "$(line 5 | cut -c10-)" = in/drawing.png ] &&
        search a big dog && cp "$T/out" "$T/words" && search 'a big dog' && cmp -s "$T/out" "$T/words" &&
        search a big - dog && ! cmp -s "$T/out" "$T/words"
}
cancels() { fresh && run 3 search -m $M a dog - a dog && one_line && grep -q cancel "$T/err"; }
outputs() {
    fresh && touch "$(printf 'line\nend.txt')" && cp in/photo.jpg "$(printf 'line\nend.jpg')" && search photo -0 &&
        [ "$(tr -cd '\000' <"$T/out" | wc -c)" = 6 ] && search photo -n 2 && [ "$(wc -l <"$T/out")" = 2 ] &&
        search in/photo.jpg --min-score 0.999 && [ "$(grep -c . "$T/out")" -ge 1 ] &&
        run 1 search -m $M in/photo.jpg - 9:in/photo.jpg --min-score 0.99 && one_line && grep -q 'nothing found' "$T/err" &&
        [ ! -s "$T/out" ]
}
filters() { # dates, sizes, shapes, globs, folders
    fresh && rm -r in ./*.png && cp $DATED/*.* . && rm index.txt && mkdir -p sub && cp $M/photo.jpg sub/ &&
        touch -d 2010-01-01 ./*.* sub/* || return 1
    names() { sed 's/.*  //' "$T/out" | sort | tr '\n' ' '; }
    search x --after 2022 && [ "$(names)" = 'lossy.webp winter.png ' ] &&
        search x --after 2019-12-31 --before 2021-07-05 && [ "$(names)" = 'summer.jpg turned.jpg ' ] &&
        search x --before 2010-01-02 --after 2010 --in 'p*' && [ "$(names)" = 'plain.bmp plain.gif progressive.jpg sub/photo.jpg ' ] &&
        search x --in './su*' && [ "$(names)" = 'sub/photo.jpg summer.jpg ' ] &&
        search x --shape square --in './p*.jpg' && [ "$(names)" = 'progressive.jpg ' ] &&
        search x --shape portrait --in '*.jpg' && names | grep -q 'turned.jpg ' && ! names | grep -q summer &&
        search x --min-size 24 --before 2023 --after 2012 && [ "$(names)" = 'summer.jpg turned.jpg ' ] &&
        search x --in sub && [ "$(names)" = 'sub/photo.jpg ' ] &&
        search x --exclude sub --in '*.jpg' && ! names | grep -q sub/ # left out is out
}
without() { # --not takes away what fits the other better (logits of golden.json: 2.6 and -0.9, 5.4 and 1.0)
    fresh && search 'a photo of the number 42.' --not 'a photo of waves.' && grep -q in/photo.jpg "$T/out" &&
        grep -q in/drawing.png "$T/out" && run 1 search -m $M 'a photo of waves.' --not 'a photo of the number 42.' --in in || return 1
    grep -q 'in/[pd][hr]' "$T/out" && return 1
    search in/photo.jpg --not 'a photo of waves.' -n 1 && [ "$(line 1 | cut -c10-)" = in/photo.jpg ]
}
page() { # the pictures found, in order; whole or not at all; nothing there is replaced
    fresh && search 'a <b>' --html "$T/page.html" -n 2 && [ "$(grep -o 'src="data:image/jpeg' "$T/page.html" | wc -l)" = 2 ] &&
        grep -q '<title>a &lt;b&gt;' "$T/page.html" && grep -q "$(line 1 | cut -c10-)" "$T/page.html" &&
        run 3 search -m $M x --html "$T/page.html" && one_line && grep -q 'exists already' "$T/err" && [ ! -s "$T/out" ] &&
        search x --html "$T/page.html" -f && grep -q '<title>x' "$T/page.html" &&
        run 1 search -m $M x --min-score 0.99 --html "$T/none.html" && [ -z "$(ls "$T" | grep none)" ]
}
texts() { # lines that fit a picture, in the order of golden.json's logits, with their cosines
    fresh && printf 'a photo of %s.\n' 'a cat' 'two dogs' 'the number 42' waves >"$T/lines" &&
        search --texts "$T/lines" in/drawing.png && [ "$(cut -c10- "$T/out" | tr '\n' '|')" = \
        'a photo of the number 42.|a photo of a cat.|a photo of waves.|a photo of two dogs.|' ] &&
        [ "$(line 1 | awk -v scale="$SCALE" '{d = $1 - 5.44028 / scale; print (d < 1e-4 && d > -1e-4)}')" = 1 ] &&
        search --texts "$T/lines" in/drawing.png --json -n 1 && grep -q '^{"text":"a photo of the number 42.","line":3,' "$T/out" &&
        [ ! -e "$T/data" ] && run 3 search -m $M --texts "$T/none" in/drawing.png && one_line
}
copies() { # the same bytes, resized, recompressed, a burst by EXIF; no group of what is alike a year later
    fresh && rm -r ./* && cp $BURST/*.jpg . && cp first.jpg same.jpg && run 0 dedup -m $M --json &&
        [ "$(wc -l <"$T/out")" = 1 ] && ! grep -q later "$T/out" && grep -q 'first.jpg","bytes":1315,"width":96,"height":64},' "$T/out" &&
        grep -q 'same.jpg",[^}]*"reason":"bytes","of":0}' "$T/out" && grep -q 'small.jpg",[^}]*"width":48,"height":32,"reason":"copy","of":0' "$T/out" &&
        grep -q 'hard.jpg",[^}]*"reason":"copy","of":0' "$T/out" && grep -q 'second.jpg",[^}]*"reason":"burst",.*"seconds":2}' "$T/out" &&
        [ "$(ls | wc -l)" = 6 ] && run 0 dedup -m $M --exact && [ "$(grep -c '^  ' "$T/out")" = 2 ] && grep -q 'same.jpg.*the same bytes' "$T/out" &&
        run 0 dedup -m $M --burst 1 && ! grep -q second "$T/out" && run 0 dedup -m $M --difference 0.5 --burst 1 &&
        [ "$(grep -c '^  ' "$T/out")" = 2 ] && run 2 dedup -m $M --burst no && one_line && run 3 dedup -m $M none && one_line
}
clusters() { # what is alike is together; every picture once; groups named by the list
    fresh && rm -r ./* && cp $BURST/*.jpg . && cp $M/drawing.png $M/picture.webp . && printf 'a ball\nthe number 42\nwaves\n' >"$T/words" &&
        run 0 cluster -m $M -l "$T/words" -k 3 --json && [ "$(grep -o '\.jpg"\|\.png"\|\.webp"' "$T/out" | wc -l)" = 7 ] &&
        grep 'first.jpg' "$T/out" | grep 'hard.jpg' | grep -q 'small.jpg' && ! grep 'first.jpg' "$T/out" | grep -q drawing.png &&
        ! sed 's/^{"name":"\(a ball\|the number 42\|waves\)".*//' "$T/out" | grep -q . &&
        run 0 cluster -m $M -l "$T/words" -k 1 && [ "$(grep -c '^[atw]' "$T/out")" = 1 ] && [ "$(grep -c '^  ' "$T/out")" = 7 ] &&
        run 2 cluster -m $M && one_line && mkdir "$T/photos/empty" && run 3 cluster -m $M -l "$T/words" empty && one_line
}
stays_true() { # new, unchanged, touched, moved, copied, changed, removed: embedded only where the content is new
    fresh && update 0 '5 embedded, 0 known by content, 0 unchanged, 0 removed' &&
        update 0 '0 embedded, 0 known by content, 5 unchanged, 0 removed' &&
        touch rgb_64x64.png && update 0 '0 embedded, 1 known by content, 4 unchanged, 0 removed' &&
        mv in more && update 0 '0 embedded, 3 known by content, 2 unchanged, 3 removed' &&
        cp more/photo.jpg copy.jpg && update 0 '0 embedded, 1 known by content, 5 unchanged, 0 removed' &&
        cp $PIXELS/grey.png rgb_41x29.png && update 0 '1 embedded, 0 known by content, 5 unchanged, 0 removed' &&
        rm more/drawing.png && update 0 '0 embedded, 0 known by content, 5 unchanged, 1 removed' &&
        search copy.jpg -n 2 && [ "$(cut -c10- "$T/out" | sort | tr '\n' ' ')" = 'copy.jpg more/photo.jpg ' ] &&
        run 0 index list -m $M && [ "$(sort "$T/out" | tr '\n' ' ')" = 'copy.jpg more/photo.jpg more/picture.webp rgb_41x29.png rgb_64x64.png ' ]
}
missing() { # an empty or missing folder, as of a drive that is not there, loses nothing
    fresh && run 0 index add -m $M . && mv "$T/photos" "$T/away" && mkdir "$T/photos" && cd "$T/photos" || return 1
    update 0 '0 embedded, 0 known by content, 0 unchanged, 0 removed' && rmdir "$T/photos" && cd "$T" &&
        run 3 index update -m $M photos && one_line && run 0 index update -m $M && grep -q 'no such folder now' "$T/err" &&
        mv "$T/away" "$T/photos" && cd "$T/photos" && update 0 '0 embedded, 0 known by content, 5 unchanged, 0 removed'
}
unmounted() { # a folder that is empty now is told once, and comes back without being embedded again
    fresh && mkdir in/er && cp $PIXELS/grey.png in/er/ && update 0 '6 embedded, 0 known by content, 0 unchanged, 0 removed' &&
        mv in away && mkdir in && update 0 '0 embedded, 4 known by content, 2 unchanged, 4 removed' && one_line &&
        grep -q "photos/in: is empty; 4 pictures of it are not in the index any more" "$T/err" && mv away "$T/away2" || return 1
    update 0 '0 embedded, 0 known by content, 2 unchanged, 4 removed' && [ ! -s "$T/err" ] && rmdir in && mv "$T/away2" in &&
        update 0 '0 embedded, 4 known by content, 2 unchanged, 0 removed' && [ ! -s "$T/err" ] && rm -r in/er &&
        update 0 '0 embedded, 0 known by content, 5 unchanged, 1 removed' && [ ! -s "$T/err" ]
}
failures() { # told with a reason, kept, not tried again before they change
    fresh && head -c 700 in/photo.jpg >cut.jpg && update 1 '5 embedded, 0 known by content, 0 unchanged, 0 removed, 1 failed' &&
        one_line && grep -q 'cut.jpg: damaged JPEG' "$T/err" &&
        update 1 '0 embedded, 0 known by content, 5 unchanged, 0 removed, 1 failed' && [ ! -s "$T/err" ] &&
        run 0 index list -m $M --failed && [ "$(wc -l <"$T/out")" = 1 ] && grep -q 'cut.jpg: damaged JPEG' "$T/out" &&
        search x && [ "$(wc -l <"$T/out")" = 5 ] && cp in/photo.jpg cut.jpg &&
        update 0 '0 embedded, 1 known by content, 5 unchanged, 0 removed' &&
        run 0 index list -m $M --failed && [ ! -s "$T/out" ]
}
unreadable() { # a folder that cannot be read is told and keeps what is known of it
    fresh && update 0 '5 embedded, 0 known by content, 0 unchanged, 0 removed' && chmod 0 in &&
        update 0 '0 embedded, 0 known by content, 2 unchanged, 0 removed' && grep -q '/in: cannot read folder' "$T/err" &&
        chmod 700 in && update 0 '0 embedded, 0 known by content, 5 unchanged, 0 removed'
}
odd_names() { # no UTF-8, circles, pipes, links that lead nowhere, hidden ones
    fresh && cp in/photo.jpg "$(printf 'caf\351.jpg')" && ln -s .. in/up && ln -s nowhere gone.png && mkfifo pipe.png &&
        mkdir .hidden && cp $PIXELS/grey.png .hidden/ && run 1 index update -m $M . && [ "$(wc -l <"$T/err")" = 2 ] &&
        grep -q '^\.: 5 embedded, 1 known by content, 0 unchanged, 0 removed, 2 failed$' "$T/out" &&
        search in/photo.jpg -0 -n 2 && grep -q "$(printf 'caf\351.jpg')" "$T/out" || return 1
    rm gone.png pipe.png && update 0 '0 embedded, 0 known by content, 6 unchanged, 2 removed' &&
        run 0 index update -m $M --hidden . && grep -q '^\.: 1 embedded' "$T/out"
}
remembered() { # folders with their options; what lies below them is found with these too
    fresh && mkdir -p in/thumbs && cp $PIXELS/grey.png in/thumbs/ && run 0 index add -m $M . -x thumbs &&
        grep -q '5 embedded' "$T/out" && cd in && search x --json && ! grep -q thumbs "$T/out" && cd / &&
        run 0 index update -m $M && grep -q '^all folders: 0 embedded, 0 known by content, 5 unchanged' "$T/out" &&
        run 0 index stats -m $M --json && grep -q "\"pictures\":5,.*\"folders\":\[\"$T/photos\"\]" "$T/out" &&
        search x --all -0 && [ "$(tr -cd '\000' <"$T/out" | wc -c)" = 5 ] &&
        run 0 index remove -m $M "$T/photos/in" && grep -q ': 3 removed' "$T/out" &&
        run 0 index remove -m $M "$T/photos" && grep -q ': 2 removed' "$T/out" &&
        run 0 index stats -m $M --json && grep -q '"pictures":0,.*"folders":\[\]' "$T/out"
}
models() { # two models side by side; the same one elsewhere is the same; its options are part of it
    fresh && update 0 '5 embedded, 0 known by content, 0 unchanged, 0 removed' &&
        cp -r $M "$T/moved_model" && run 0 index update -m "$T/moved_model" . && grep -q '0 embedded.* 5 unchanged' "$T/out" &&
        run 0 index update -m $M --as-stored . && grep -q '5 embedded' "$T/out" &&
        run 0 index stats -m $M --json && grep -q '"models":2' "$T/out" &&
        update 0 '0 embedded, 0 known by content, 5 unchanged, 0 removed'
}
watches() { # a new folder with a picture is found while it watches; Ctrl-C ends it in good order
    fresh || return 1
    "$CLIPC" index update -m $M --watch . >"$T/watched" 2>"$T/err" &
    watcher=$!
    seen() { for i in $(seq 100); do grep -q "$1" "$T/watched" && return 0; sleep 0.2; done; return 1; }
    seen '^\.: 5 embedded' && mkdir -p new/er && cp $PIXELS/grey.png new/er/ && seen '^\.: 1 embedded, 0 known by content, 5 unchanged'
    found=$?
    kill -TERM $watcher # as Ctrl-C, which a shell's background ignores
    wait $watcher 2>/dev/null
    [ $? = 143 ] && [ $found = 0 ]
}
stopped() { # by Ctrl-C: one line says so, what is done is kept, and the process dies by the signal
    fresh && mkdir "$T/many" && for i in $(seq 600); do (cat in/photo.jpg && echo "$i") >"$T/many/$i.jpg"; done || return 1
    for signal in INT:130 TERM:143; do
        for c in 'index add .' 'search x' dedup 'cluster -l in/words'; do
            fresh && echo ball >in/words && ln -s "$T/many" . || return 1
            CLIPC_ISA=ref "$CLIPC" $c -m $M --threads 1 >"$T/out" 2>"$T/err" &
            pid=$!
            wait_for [ -e "$T/data/clipc/catalogue.db" ] && kill -${signal%:*} $pid
            wait $pid 2>/dev/null
            [ $? = ${signal#*:} ] && one_line && grep -q '^clipc: stopped; ' "$T/err" || return 1
        done
    done
}
lists() { # whole paths, a NUL behind each, and nothing else
    fresh && cp in/photo.jpg "$(printf 'line\nend.jpg')" && search x && run 0 index list -m $M -0 in &&
        printf "$PWD/in/%s\0" drawing.png photo.jpg picture.webp | cmp -s - "$T/out" &&
        run 0 index list -m $M -0 && [ "$(tr -cd '\000' <"$T/out" | wc -c)" = 6 ] && [ "$(tr -cd '\n' <"$T/out" | wc -c)" = 1 ]
}
against() { # what contradicts each other is refused
    fresh && run 2 search -m $M x -j -0 && one_line && grep -q 'json or --print0' "$T/err" && [ ! -e "$T/data" ] &&
        run 2 search -m $M x --texts "$T/x" -0 && one_line && run 2 search -m $M x --texts "$T/x" --html "$T/x.html" && one_line &&
        search x && run 2 index list -m $M --json --print0 && one_line
}
exports() { # keys that are no UTF-8 are spelled as search --json has them
    fresh && search x && run 0 index export -m $M "$T/vectors" && [ "$(wc -l <"$T/vectors/keys.jsonl")" = 5 ] &&
        grep -q '"key":"/.*/in/photo.jpg","row":' "$T/vectors/keys.jsonl" && [ -s "$T/vectors/vectors.npy" ] &&
        run 3 index export -m $M "$T/vectors" && one_line && grep -q 'exists already' "$T/err" || return 1
    cp in/photo.jpg "$(printf 'caf\351.jpg')" && search x --json && grep -q '/caf?.jpg"' "$T/out" && rm -r "$T/vectors" &&
        run 0 index export -m $M "$T/vectors" && grep -q '"key":"/.*/caf?.jpg"' "$T/vectors/keys.jsonl"
}
imports() { # what was exported answers the same in another index; wrong rows and keys are told
    fresh && search in/photo.jpg --json && sed 's/,"width".*//' "$T/out" >"$T/before" && rm -rf "$T/vectors" &&
        run 0 index export -m $M "$T/vectors" && run 0 index import -m $M -i "$T/other" "$T/vectors" &&
        search -i "$T/other" in/photo.jpg --json --all && sed 's/}$//' "$T/out" | cmp -s - "$T/before" || return 1
    rm -rf "$T/other" && echo '{"key":"x","row":5}' >"$T/vectors/keys.jsonl" && run 3 index import -m $M "$T/vectors" &&
        one_line && grep -q 'keys.jsonl: line 1: row 5 of 5' "$T/err" && echo '{"row":0}' >"$T/vectors/keys.jsonl" &&
        run 3 index import -m $M "$T/vectors" && one_line && grep -q 'no "key"' "$T/err"
}
damage() { # is noticed and mended
    fresh && search x && run 0 index verify && grep -q '^5 vectors checked, 0 damaged$' "$T/out" || return 1
    vectors=$(ls -S "$XDG_DATA_HOME"/clipc/*vectors* "$XDG_DATA_HOME"/clipc/*/* 2>/dev/null | head -1)
    size=$(wc -c <"$vectors")
    printf '\377\377' | dd of="$vectors" bs=1 seek=$((size - 40)) conv=notrunc 2>/dev/null
    run 1 index verify && [ -s "$T/err" ] && run 0 index verify --repair && run 0 index verify
}
wrong() { # one line that says what is wrong
    fresh && run 2 search -m $M && one_line && run 2 search -m $M x --after 2024-13 && one_line &&
        run 2 search -m $M x --after 2023-02-30 && one_line && run 2 search -m $M x --shape round && one_line &&
        run 2 search -m $M x --min-score 7 && one_line && run 2 search -m $M x -n 0 && one_line &&
        run 2 search -m $M x + && one_line && run 2 search -m $M x + - y && one_line && run 2 search -m $M 2: && one_line &&
        run 3 search -m $M ./none.jpg && one_line && grep -q 'none.jpg: no such picture' "$T/err" &&
        run 3 search -m $M x --in none && one_line && run 3 search -m none x && one_line &&
        run 3 index stats -m $M -i "$T/none" && one_line && run 2 index && one_line && run 2 index add && one_line &&
        run 2 index nonsense && one_line && run 3 search -m $M x -i /dev/null/x && one_line || return 1
    XDG_DATA_HOME= HOME= run 3 search -m $M x && one_line && grep -q 'neither XDG_DATA_HOME nor HOME' "$T/err"
}
SCALE=$("$CLIPC" similarity -m $M $M/photo.jpg -T x --json | sed -n 's/.*"logit_scale":\([0-9.]*\).*/\1/p')
here=$PWD
if [ "$(id -u)" = 0 ]; then echo 'skip index: unreadable (root reads everything)'; else expect 'index: unreadable' unreadable; fi
cd "$here"
for test in golden itself sums cancels outputs filters without page texts copies clusters stays_true missing unmounted failures odd_names remembered \
    models watches stopped lists against exports imports damage wrong; do
    expect "index: $test" $test
    cd "$here"
done
exit $status
