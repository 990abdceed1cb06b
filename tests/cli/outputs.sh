#!/bin/sh
# What is written where: nothing is lost in silence, whatever the disk, the names and the readers.
. tests/cli/harness.sh

full() { # a result that finds no room is no success; a reader that goes away is no failure
    for c in --help "info $M" "info $M --json" 'tokenize a' "embed -T a -m $M" 'models --json' "classify $M -m $M -l a,b"; do
        "$CLIPC" $c >/dev/full 2>"$T/err"
        [ $? = 3 ] && one_line && grep -q 'standard output: No space' "$T/err" || return 1
    done
    (trap '' PIPE && "$CLIPC" models 2>"$T/err" && echo done >&2) 2>"$T/end" | : && sleep 0.2 &&
        [ ! -s "$T/err" ] && [ "$(cat "$T/end")" = done ]
}
odd_names() { # a picture whose name is no UTF-8 has its row, and JSON stays JSON
    odd=$(printf '%s/caf\351.png' "$T") && cp $M/drawing.png "$odd" || return 1
    run 0 embed "$odd" $M/photo.jpg -m $M && [ "$(wc -l <"$T/out")" = 2 ] && grep -q '/caf?.png","embedding"' "$T/out" || return 1
    run 0 embed "$odd" $M/photo.jpg -m $M -o "$T/v.npy" && [ "$(wc -l <"$T/v.npy.jsonl")" = 2 ] &&
        grep -q '/caf?.png","row":0' "$T/v.npy.jsonl" || return 1
    run 0 preprocess "$odd" -m $M -o "$T/c.npy" && grep -q '/caf?.png","row":0' "$T/c.npy.jsonl" || return 1
    run 0 classify "$odd" -m $M -l a,b --json && grep -q '/caf?.png","labels"' "$T/out" || return 1
    run 2 train --data "$odd" --out "$T/run" && one_line && grep -q 'data: no UTF-8' "$T/err" || return 1
    run 0 similarity "$odd" -m $M -T "Caf$(printf '\303\251')" --json && grep -q '/caf?.png"\],"texts":\["Caf'"$(printf '\303\251')"'"' "$T/out"
}
devices() { # --force replaces files, not what else has a name
    mkfifo "$T/pipe" && run 3 convert $M "$T/pipe" --to clipc --force && one_line &&
        grep -q 'pipe: is no regular file' "$T/err" && [ -p "$T/pipe" ]
}
marked_lines() { # neither a byte order mark nor blanks are part of a label, or one
    printf '\357\273\277cat\r\n \r\n\n\t\n waves\t \r\n  ' >"$T/labels" && run 0 classify $M/photo.jpg -m $M -L "$T/labels" --json &&
        mv "$T/out" "$T/want" && run 0 classify $M/photo.jpg -m $M -l cat,waves --json && cmp -s "$T/out" "$T/want"
}
against() { # what says two things at once is refused, in either order
    run 2 embed -T a -m $M --strict --long mean && one_line && run 2 embed -T a -m $M --long max --strict && one_line &&
        run 0 embed -T a -m $M --long max --long mean
}
empty() { # an empty name is a variable that was not set: neither the root folder nor the bundled model
    for c in 'train --data demo --out' 'data make demo --out' "embed -T a -m $M -o" 'classify demo -l a,b -m' 'info -m' 'classify demo -L'; do
        run 2 $c '' && one_line && grep -q 'its argument is empty' "$T/err" || return 1
    done
    run 2 convert '' "$T/bundled" && one_line && [ ! -e "$T/bundled" ] && run 2 convert $M '' && one_line && run 0 embed -T '' -m $M
}
early() { # a place that takes no result is told before the work, not after
    for c in "embed no-such.png -m $M -o" 'preprocess no-such.png -r openai -o' 'data stats no-such --html'; do
        run 3 $c "$T/no-such/x" && one_line && grep -q 'no-such/x: cannot write' "$T/err" &&
            run 3 $c "$T" --force && one_line && grep -q 'is a folder' "$T/err" || return 1
    done
    [ -z "$(ls "$T" | grep '\.npy\.......$')" ]
}
named() { run 2 preprocess demo -r openai -s 0 -o "$T/x.npy" && one_line && grep -q -e '--size 0' "$T/err"; }
kept_texts() { # what a file is to keep and cannot is refused, not left out or called a lack of memory
    odd=$(printf '\251 M\374ller')
    for o in license origin; do
        run 3 convert $M "$T/odd.clipc" --to clipc --$o "$odd" && one_line && grep -q "$o: no UTF-8" "$T/err" &&
            run 3 quantize $M "$T/odd.clipc" --$o "$odd" && one_line && grep -q "$o: no UTF-8" "$T/err" || return 1
    done
    mkdir "$T/$odd" "$T/$odd/set" && cp tests/golden/pixels/grey.png "$T/$odd/set/" && echo grey >"$T/$odd/set/grey.txt" || return 1
    (cd "$T/$odd" && "$CLIPC" train --data set --out ../run) 2>"$T/err"
    [ $? = 3 ] && one_line && grep -q 'the working directory' "$T/err" && [ ! -e "$T/odd.clipc" ] && [ ! -e "$T/run" ]
}
modes() { # a new file is as the umask says, one that is replaced stays open to whom it was
    mode() { stat -c %a "$1"; }
    (umask 077 && run 0 preprocess $M/photo.jpg -r hf -o "$T/mine.npy") && [ "$(mode "$T/mine.npy")" = 600 ] &&
        [ "$(mode "$T/mine.npy.jsonl")" = 600 ] && (umask 002 && run 0 convert $M "$T/ours.clipc" --to clipc) &&
        [ "$(mode "$T/ours.clipc")" = 664 ] && chmod 640 "$T/ours.clipc" &&
        (umask 022 && run 0 convert $M "$T/ours.clipc" --to clipc --force) && [ "$(mode "$T/ours.clipc")" = 640 ]
}
unreadable() { # a file that an option names and that cannot be read is no fault of the command line
    for c in "classify $M/photo.jpg -L" "similarity $M/photo.jpg --texts-file" "similarity $M/photo.jpg --texts-jsonl" \
        'embed --texts-file' 'embed --texts-jsonl' 'cluster -l' 'search x --in'; do
        run 3 $c "$T/no-such" && one_line && grep -q 'no-such: ' "$T/err" || return 1
    done
    run 2 classify $M/photo.jpg -l a,b --top 0 && one_line
}
for t in full odd_names devices marked_lines against empty early named kept_texts modes unreadable; do
    expect "outputs: $t" $t
done
exit $status
