#!/bin/sh
# classify --html: a page of pictures with their names, whatever these hold, whole or not at all.
. tests/cli/harness.sh
page() { # page EXPECTED-EXIT ARGUMENTS...
    wanted=$1
    shift
    run $wanted classify -m $M "$@"
}
none_left() { [ -z "$(ls "$T" | grep '\.html\.')" ]; } # files under construction
pictures() { grep -c '^<figure><img alt="" src="data:image/jpeg;base64,/9j' "$1"; }

whole() { # what is printed is on the page, in this order, and the page is a whole one
    page 0 $M/photo.jpg $M/drawing.png -l 'a cat,waves,the number 42' -T 'a photo of {}.' --top 2 --html "$T/a.html" || return 1
    [ "$(head -n 1 "$T/a.html")" = '<!DOCTYPE html>' ] && [ "$(tail -n 1 "$T/a.html")" = '</body></html>' ] &&
        grep -q '<h1>2 pictures, 3 labels</h1>' "$T/a.html" && [ "$(pictures "$T/a.html")" = 2 ] && none_left || return 1
    sed -n 's/^  \(.*[^ ]\)  *\([0-9.]* %\).*/<b>\2<\/b>\1/p' "$T/out" >"$T/want" && [ "$(wc -l <"$T/want")" = 4 ] &&
        grep -o '<b>[^<]*</b>[^<]*' "$T/a.html" | cmp -s - "$T/want" || return 1
    # The figures are numbers of bars, too.
    sed 's/<b>\([0-9.]*\) .*/width:\1%/' "$T/want" >"$T/bars" && grep -o 'width:[0-9.]*%"' "$T/a.html" | tr -d '"' | cmp -s - "$T/bars" &&
        ! grep -q '<script\|http:\|https:' "$T/a.html"
}
alone() { # five labels unless told otherwise, with --json too, whose lines have all
    page 0 $M/photo.jpg -l a,b,c,d,e,f,g --json --html "$T/b.html" && [ "$(grep -o '"label":' "$T/out" | wc -l)" = 7 ] &&
        [ "$(grep -o '<i ' "$T/b.html" | wc -l)" = 5 ] && page 0 - -l a,b --html "$T/stdin.html" <$M/photo.jpg &&
        [ "$(pictures "$T/stdin.html")" = 1 ]
}
hostile() { # markup in names and labels is text; names that are no UTF-8; the same name twice
    mkdir -p "$T/odd/<b>x" && cp $M/photo.jpg "$T/odd/<b>x/\"><script>alert(1)<\\script>.jpg" && cp $M/photo.jpg "$T/odd/<b>x/a&lt;.jpg" &&
        cp $M/photo.jpg "$T/odd/$(printf 'caf\351\001').jpg" && mkdir "$T/odd/y" && cp $M/photo.jpg "$T/odd/y/a&lt;.jpg" || return 1
    page 0 "$T/odd" -l '<script>alert(2)</script>,"a" & b' --html "$T/odd.html" && [ "$(pictures "$T/odd.html")" = 4 ] || return 1
    ! grep -q '<script\|<b>x' "$T/odd.html" &&
        grep -q '>&lt;script&gt;alert(2)&lt;/script&gt;<' "$T/odd.html" && grep -q '>&quot;a&quot; &amp; b<' "$T/odd.html" &&
        grep -q '&lt;b&gt;x/&quot;&gt;&lt;script&gt;alert(1)&lt;' "$T/odd.html" && grep -q 'x/a&amp;lt;.jpg<' "$T/odd.html" &&
        grep -q 'y/a&amp;lt;.jpg<' "$T/odd.html" && grep -q "/caf$(printf '\357\277\275\357\277\275').jpg<" "$T/odd.html"
}
broken() { # a picture that cannot be read is there with the reason
    head -c 900 $M/photo.jpg >"$T/cut.jpg"
    page 1 "$T/cut.jpg" no-such.png $M/photo.jpg -l a,b --html "$T/c.html" && [ "$(pictures "$T/c.html")" = 1 ] &&
        [ "$(grep -c '^<figure><div>' "$T/c.html")" = 2 ] && grep -q '<div>[^<]*cut.jpg: damaged JPEG' "$T/c.html" &&
        grep -q '<div>no-such.png: ' "$T/c.html" || return 1
    page 3 no-such.png -l a,b --html "$T/d.html" && grep -q '<div>no-such.png: ' "$T/d.html"
}
in_the_way() { # what is there stays but for --force; neither folders nor pictures are written over
    echo mine >"$T/e.html" && cp $M/photo.jpg "$T/mine.JPG" && mkdir "$T/f.html" || return 1
    page 3 $M/photo.jpg -l a,b --html "$T/e.html" && one_line && grep -q 'e.html: exists already' "$T/err" && [ ! -s "$T/out" ] &&
        [ "$(cat "$T/e.html")" = mine ] || return 1
    page 3 $M/photo.jpg -l a,b --html "$T/mine.JPG" --force && one_line && cmp -s $M/photo.jpg "$T/mine.JPG" || return 1
    page 3 $M/photo.jpg -l a,b --html "$T/f.html" --force && one_line && grep -q 'f.html: ' "$T/err" && [ ! -s "$T/out" ] || return 1
    page 3 $M/photo.jpg -l a,b --html "$T/no-such/g.html" && one_line && grep -q 'no-such/g.html: ' "$T/err" && [ ! -s "$T/out" ] || return 1
    page 3 $M/photo.jpg -l a,b --strict -T "$(printf 'x {} %.0s' $(seq 60))" --html "$T/e.html" --force &&
        [ "$(cat "$T/e.html")" = mine ] && none_left || return 1 # a label that fails
    page 0 $M/photo.jpg -l a,b --html "$T/e.html" --force && [ "$(pictures "$T/e.html")" = 1 ] && none_left
}
stopped() { # stopped SIGNAL: one line, nothing half written, what was there stays
    yes $M/photo.jpg | head -n 20000 | tr '\n' '\0' >"$T/many" && echo mine >"$T/s.html" || return 1
    (exec xargs -0 -x -s 1000000 -n 20000 -a "$T/many" sh -c 'trap - INT; echo $$ >"$0"; exec "$@"' "$T/pid" \
        "$CLIPC" classify -m $M -l a,b --force --html "$T/s.html" >"$T/out" 2>"$T/err") &
    waited=$!
    wait_for eval '[ "$(wc -l <"$T/out" 2>/dev/null || echo 0)" -ge 3 ]'
    kill -$1 "$(cat "$T/pid")"
    wait $waited
    [ $? = 125 ] && # what xargs makes of a command that died by a signal
        grep -q "^clipc: stopped; not written: $T/s.html" "$T/err" && [ "$(cat "$T/s.html")" = mine ] && none_left
}
closed() { # whoever stops reading the lines still gets the page
    "$CLIPC" classify -m $M $(yes $M | head -n 200) -l a,b --html "$T/h.html" 2>"$T/err" | true
    [ "$(pictures "$T/h.html")" = 600 ] && none_left
}
full() { # a disk without room: one line, nothing left there
    mkdir "$T/disk" && mount -t tmpfs -o size=64k tmpfs "$T/disk" 2>/dev/null || { echo 'skip a page on a full disk (no tmpfs here)'; return 2; }
    page 3 $M $M $M $M $M $M $M $M -l a,b --html "$T/disk/a.html" && one_line && grep -q 'a.html: .*No space left' "$T/err" &&
        [ -z "$(ls "$T/disk")" ]
    no=$?
    umount "$T/disk"
    return $no
}
expect 'classify --html: what is printed, as a page' whole
expect 'classify --html: how many labels, standard input' alone
expect 'classify --html: hostile names and labels' hostile
expect 'classify --html: broken pictures' broken
expect 'classify --html: what is in the way' in_the_way
expect 'classify --html: stopped by Ctrl-C' stopped INT
expect 'classify --html: stopped by SIGTERM' stopped TERM
expect 'classify --html: a closed pipe' closed
full
no=$?
[ $no = 2 ] || say 'classify --html: a full disk' $no
exit $status
