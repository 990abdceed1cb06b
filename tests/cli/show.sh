#!/bin/sh
# What search shows: "nothing found" below the model's least score, the desktop's program, thumbnails.
. tests/cli/harness.sh
# Its tests change the working folder.
T=$PWD/$T M=$PWD/$M PIXELS=$PWD/tests/golden/pixels
export XDG_DATA_HOME="$T/data"
unset CLIPC_MODEL NO_COLOR
ESC=$(printf '\033')
mkdir -p "$T/photos/in" "$T/pairs" && cd "$T/photos" && cp $PIXELS/rgb_64x64.png $PIXELS/rgb_41x29.png . &&
    cp $M/photo.jpg $M/drawing.png $M/picture.webp in/

# ---- the least score ----

for p in photo.jpg drawing.png picture.webp; do
    cp $M/$p "$T/pairs/" && seq -f "${p%.*} and %g" 400 >"$T/pairs/${p%.*}.txt"
done
echo '{"name": "pairs", "task": "retrieval", "samples": "pairs"}' >"$T/pairs.json"
mismatched() { # the cosines of each picture with the captions of the others, each by itself
    for p in photo.jpg drawing.png picture.webp; do
        cat "$T"/pairs/*.txt | grep -v "^${p%.*} " >"$T/others"
        search --texts "$T/others" "$T/pairs/$p" --json -n 1000 --min-score -1 || return 1
        sed 's/.*"score":\([-0-9.]*\)}/\1/' "$T/out"
    done
}
search() { run 0 search -m $M "$@"; }
measured() { # of 2400 pairs at most 2 reach it, and a third is less than 0.0001 below
    run 0 convert $M "$T/measured" --min-score-from "$T/pairs.json" &&
        least=$(sed -n 's/^min_score \([-0-9.]*\):.*/\1/p' "$T/out") && run 0 info "$T/measured" --json &&
        [ "$(sed -n 's/.*"min_score":\([-0-9.]*\)}/\1/p' "$T/out" | awk '{printf "%.4f", $1}')" = "$least" ] &&
        mismatched >"$T/cosines" &&
        awk -v least="$least" '{n++; at += $1 >= least; near += $1 >= least - 0.0001}
            END {exit !(n == 2400 && at <= 2 && near > 2)}' "$T/cosines"
}
few() { # too few pairs are no measure, and nothing is written
    printf '%s\ta\n%s\tb\n' $M/photo.jpg $M/drawing.png >"$T/few.tsv"
    run 3 convert $M "$T/few" --min-score-from "$T/few.tsv" && one_line && grep -q 'few.tsv: 2 pairs' "$T/err" &&
        [ ! -e "$T/few" ] && run 3 convert $M "$T/few" --min-score-from "$T/none.tsv" && one_line &&
        run 3 convert $M "$T/measured" --min-score-from "$T/pairs.json" && one_line && grep -q 'exists already' "$T/err" &&
        run 2 convert $M "$T/few" --min-score-from "$T/pairs.json" --average-with $M && one_line
}
least() { # a copy of the model whose least score is $1
    rm -rf "$T/least" && cp -r $M "$T/least" &&
        sed "s/^{/{\"min_score\": $1,/" $M/open_clip_config.json >"$T/least/open_clip_config.json"
}
has_least() { run 0 info "$1" --json && grep -q '"min_score":0.9}' "$T/out"; }
survives() { # the ways of the file; not into what is another model
    least 0.9 && has_least "$T/least" && run 0 convert "$T/least" "$T/l.clipc" --to clipc && has_least "$T/l.clipc" &&
        run 0 convert "$T/l.clipc" "$T/hf" --to hf && has_least "$T/hf" && run 0 convert "$T/hf" "$T/oc" && has_least "$T/oc" &&
        run 0 quantize "$T/oc" "$T/q.clipc" --no-eval && has_least "$T/q.clipc" &&
        run 0 convert "$T/least" "$T/mean" --average-with $M && run 0 info "$T/mean" --json && ! grep -q min_score "$T/out"
}
nothing() { # one text finds nothing below it; sums, pictures and --min-score are as without; the index is the same
    least 0.9 && search a dog && [ "$(wc -l <"$T/out")" = 5 ] && mv "$T/out" "$T/all" &&
        run 1 search -m "$T/least" --no-update a dog && one_line && [ ! -s "$T/out" ] && grep -q 'nothing found.*0.9' "$T/err" &&
        run 1 search -m "$T/least" --json a dog && [ ! -s "$T/out" ] &&
        run 0 search -m "$T/least" --no-update a dog --min-score -1 && cmp -s "$T/out" "$T/all" &&
        run 0 search -m "$T/least" a + dog && [ "$(wc -l <"$T/out")" = 5 ] &&
        run 0 search -m "$T/least" in/photo.jpg && [ "$(wc -l <"$T/out")" = 5 ] || return 1
    least -0.9 && run 0 search -m "$T/least" a dog && cmp -s "$T/out" "$T/all" || return 1
    printf 'a dog\na cat\n' >"$T/lines" && least 0.9 && run 1 search -m "$T/least" --texts "$T/lines" in/photo.jpg && one_line &&
        grep -q 'nothing found.*0.9' "$T/err" && run 0 search -m "$T/least" --texts "$T/lines" a dog &&
        [ "$(wc -l <"$T/out")" = 2 ] || return 1
    least 7 && run 3 info "$T/least" && one_line && grep -q 'min_score is 7' "$T/err"
}

# ---- the desktop's program ----

mkdir -p "$T/bin" "$T/empty" && cat >"$T/bin/xdg-open" <<X && chmod +x "$T/bin/xdg-open"
#!/bin/sh
printf '%s\n' \$# "\$@" >"$T/opened"
echo noise
exit \${STATUS:-0}
X
opens() { # the best alone, by its whole path, whatever its name; its words are no results
    mkdir -p "$T/odd" && cd "$T/odd" && cp $M/photo.jpg ./-n.jpg && cp $M/drawing.png '$(x) y.png' || return 1
    PATH="$T/bin:$PATH" run 0 search -m $M --like ./-n.jpg --open && [ "$(wc -l <"$T/out")" = 2 ] && ! grep -q noise "$T/out" &&
        [ "$(cat "$T/opened")" = "1
$T/odd/-n.jpg" ] && PATH="$T/bin:$PATH" run 0 search -m $M --like './$(x) y.png' -o -n 1 &&
        [ "$(sed -n 2p "$T/opened")" = "$T/odd/\$(x) y.png" ]
}
no_opener() { # none, one that fails, nothing to open, no pictures
    PATH="$T/empty" run 3 search -m $M x --open && one_line && grep -q 'xdg-open: not installed' "$T/err" && [ -s "$T/out" ] || return 1
    STATUS=4 PATH="$T/bin:$PATH" run 3 search -m $M x --open && grep -q 'could not open it (status 4)' "$T/err" || return 1
    rm "$T/opened" && PATH="$T/bin:$PATH" run 1 search -m $M x --open --min-score 0.99 && [ ! -e "$T/opened" ] &&
        run 2 search -m $M x --open --texts "$T/lines" && one_line
}

# ---- thumbnails ----

terminal() { # terminal TERM COMMAND...: on a pseudo terminal
    kind=$1
    shift
    TERM=$kind script -qec "$*" /dev/null </dev/null >"$T/out" 2>"$T/err"
}
forms() { # each as its terminal takes it: red pixels
    mkdir -p "$T/red" && cd "$T/red" && { printf 'P6 8 8 255\n' && for i in $(seq 64); do printf '\377\000\000'; done; } >red.ppm &&
        search x --thumbnails symbols && grep -q "^[- ]0.*  red.ppm$" "$T/out" && grep -q "$ESC\\[.*;2;255;0;0" "$T/out" &&
        search x --thumbnails kitty && grep -q "${ESC}_G.*f=[0-9]*,s=" "$T/out" && grep -q '/wAA' "$T/out" &&
        search x --thumbnails iterm2 && grep -q "$ESC]1337;File=inline=1" "$T/out" &&
        search x --thumbnails sixel && grep -q "${ESC}P[0-9;]*q" "$T/out"
}
plain() { # never in a pipe, nor among what programs read; none of a picture that is gone
    search a dog && mv "$T/out" "$T/plain" && TERM=xterm-kitty search a dog --thumbnails auto && cmp -s "$T/out" "$T/plain" &&
        run 2 search -m $M x --thumbnails auto --json && one_line && run 2 search -m $M x --thumbnails kitty -0 && one_line &&
        run 2 search -m $M x --thumbnails big && one_line && run 2 search -m $M x --thumbnails auto --texts "$T/lines" || return 1
    mkdir -p "$T/gone" && cd "$T/gone" && cp $M/photo.jpg $M/drawing.png . && search x && rm photo.jpg &&
        search x --no-update --thumbnails symbols && one_line && grep -q 'photo.jpg' "$T/err" && grep -q "$ESC\\[" "$T/out"
}
on_terminals() { # what each is known for; nothing that one is not
    SEARCH="'$CLIPC' search -m '$M' a dog --thumbnails auto"
    terminal xterm-kitty "$SEARCH" && grep -q "${ESC}_G" "$T/out" && terminal mlterm "$SEARCH" && grep -q "${ESC}P" "$T/out" &&
        terminal xterm-256color "$SEARCH" && grep -q "$ESC\\[" "$T/out" && ! grep -q "${ESC}[_P]" "$T/out" &&
        terminal dumb "$SEARCH" && ! grep -q "$ESC" "$T/out" && grep -q 'in/photo.jpg' "$T/out" &&
        NO_COLOR=1 terminal xterm-kitty "$SEARCH" && ! grep -q "$ESC" "$T/out" && grep -q 'in/photo.jpg' "$T/out"
}
cd "$T/photos"
for test in measured few survives nothing opens no_opener; do
    expect "show: $test" $test
    cd "$T/photos"
done
if "$CLIPC" --version | grep -q libchafa && ldconfig -p 2>/dev/null | grep -q 'libchafa.so.0'; then
    for test in forms plain; do
        expect "show: thumbnails: $test" $test
        cd "$T/photos"
    done
    if command -v script >/dev/null; then
        unset KITTY_PID KITTY_WINDOW_ID TERM_PROGRAM LC_TERMINAL COLORTERM VTE_VERSION TERM_NAME
        expect 'show: thumbnails: on_terminals' on_terminals
    else echo 'skip show: thumbnails: on_terminals (no script)'; fi
else
    echo 'skip show: thumbnails (no libchafa)'
fi
exit $status
