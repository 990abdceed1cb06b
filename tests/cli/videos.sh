#!/bin/sh
# Videos in the index: found by file and time, kept true, and left alone where they are not asked for.
. tests/cli/harness.sh
# Its tests change the working folder.
T=$PWD/$T M=$PWD/$M V=$PWD/tests/golden/video
export XDG_DATA_HOME="$T/data"
unset CLIPC_MODEL
fresh() { # an empty index, and a folder of a picture and two videos that is the working folder
    rm -rf "$T/data" "$T/films" && mkdir -p "$T/films/in" && cd "$T/films" && cp $M/photo.jpg . &&
        cp $V/cuts.mp4 . && cp $V/turned.mp4 in/
}
update() { # update EXIT COUNTS OPTIONS...
    code=$1 counts=$2
    shift 2
    run "$code" index update -m $M . "$@" && grep -q "^\.: $counts\$" "$T/out" || { cat "$T/out" "$T/err"; return 1; }
}
best() { grep -q "^ \\(1\.000\\|0\.999\\)[0-9]  $1\$" "$T/out"; } # as near as vectors in half precision are
FIRST='3 embedded, 0 known by content, 0 unchanged, 0 removed'
SAME='0 embedded, 0 known by content, 3 unchanged, 0 removed'

found() { # a frame that ffmpeg took out is found where it is, as text and as JSON; a picture has no time
    fresh && update 0 "$FIRST" --videos && for k in 1 2 3; do
        run 0 search -m $M $V/cuts.mp4.$k.png -n 1 && best "cuts.mp4  0:00:0$((k - 1))" &&
            run 0 search -m $M $V/turned.mp4.$k.png -n 1 --json &&
            grep -q "^{\"image\":\"$PWD/in/turned.mp4\",\"score\":\(1.000\|0.999\).*,\"width\":48,\"height\":64,.*\"seconds\":$((k - 1)).000}" "$T/out" ||
            return 1
    done
    run 0 search -m $M photo.jpg -n 1 --json && grep -q photo.jpg "$T/out" && ! grep -q seconds "$T/out" &&
        run 0 search -m $M photo.jpg -n 20 && [ "$(wc -l <"$T/out")" = 7 ]
}
every() { # as often as was asked, and remembered so
    fresh && run 0 index add -m $M . --videos --every 0.5 && run 0 index list -m $M cuts.mp4 &&
        [ "$(cat "$T/out")" = "$(for s in 0 0 1 1 2 2; do echo "cuts.mp4  0:00:0$s"; done)" ] &&
        cp $V/cuts.webm . && run 0 index update -m $M && run 0 index list -m $M cuts.webm --json &&
        [ "$(grep -c '"seconds":[0-2].[05]00}' "$T/out")" = 6 ] && run 2 index update -m $M --every 0 . && one_line
}
unasked() { # new ones are passed over; those that are known are kept up, and so is a file that was named
    fresh && update 0 '1 embedded, 0 known by content, 0 unchanged, 0 removed' && run 0 index update -m $M cuts.mp4 &&
        update 0 '0 embedded, 0 known by content, 2 unchanged, 0 removed' && cp $V/cuts.webm cuts.mp4 &&
        update 0 '1 embedded, 0 known by content, 1 unchanged, 0 removed' && run 0 search -m $M $V/cuts.webm.2.png -n 1 &&
        best 'cuts.mp4  0:00:01'
}
stays_true() { # unchanged, touched, moved, copied, changed, removed: with all of its pictures
    fresh && update 0 "$FIRST" --videos && update 0 "$SAME" && touch cuts.mp4 &&
        update 0 '0 embedded, 1 known by content, 2 unchanged, 0 removed' && mv cuts.mp4 in/moved.mp4 && cp in/turned.mp4 copy.mp4 &&
        update 0 '0 embedded, 2 known by content, 2 unchanged, 1 removed' --videos && run 0 index list -m $M && [ "$(cat "$T/out")" = "$(
            for name in copy.mp4 in/moved.mp4 in/turned.mp4; do for s in 0 1 2; do echo "$name  0:00:0$s"; done; done; echo photo.jpg)" ] &&
        cp $V/cut_off.mkv copy.mp4 && rm in/turned.mp4 && update 0 '1 embedded, 0 known by content, 2 unchanged, 1 removed' &&
        run 0 index list -m $M && [ "$(grep -c '^copy.mp4  ' "$T/out")" = 2 ] && [ "$(grep -c '^in/turned' "$T/out")" = 0 ] &&
        [ "$(grep -c '^in/moved' "$T/out")" = 3 ] && run 0 index remove -m $M in/moved.mp4 && grep -q ': 3 removed' "$T/out" &&
        run 0 index verify && grep -q ' 0 damaged' "$T/out"
}
models() { # another model takes its own pictures out of them
    fresh && update 0 "$FIRST" --videos && run 0 index update -m $M --as-stored . && grep -q '3 embedded' "$T/out" &&
        run 0 index stats -m $M --json --as-stored && grep -q '"pictures":7,' "$T/out" && update 0 "$SAME"
}
failures() { # one that is cut off is told with the reason, kept, and tried again when it changes
    fresh && cp $V/cut_off.mp4 bad.mp4 && echo text >note.mkv && update 1 "$FIRST, 2 failed" --videos &&
        grep -q 'bad.mp4: video: ' "$T/err" && grep -q 'note.mkv: video: ' "$T/err" && [ "$(wc -l <"$T/err")" = 2 ] &&
        update 1 "$SAME, 2 failed" && [ ! -s "$T/err" ] && run 0 index list -m $M --failed && [ "$(wc -l <"$T/out")" = 2 ] &&
        cp $V/cuts.webm bad.mp4 && rm note.mkv && update 0 '1 embedded, 0 known by content, 3 unchanged, 1 removed' &&
        cp $V/cut_off.mp4 bad.mp4 && update 1 "$SAME, 1 failed" && run 0 index list -m $M bad.mp4 && [ "$(wc -l <"$T/out")" = 1 ]
}
pictures_alone() { # what compares or carries pictures leaves videos out
    fresh && cp in/turned.mp4 again.mp4 && update 0 '3 embedded, 1 known by content, 0 unchanged, 0 removed' --videos &&
        run 0 dedup -m $M --json && ! grep -q mp4 "$T/out" && run 0 index export -m $M "$T/vectors" &&
        [ "$(wc -l <"$T/vectors/keys.jsonl")" = 1 ] && run 0 search -m $M x --html "$T/page.html" -n 7 &&
        grep -q '0:00:02' "$T/page.html" && echo a ball >"$T/words" && run 0 cluster -m $M -l "$T/words" --json &&
        [ "$(grep -o '"[^"]*\.jpg"' "$T/out" | wc -l)" = 1 ] && ! grep -q mp4 "$T/out"
}
fresh && "$CLIPC" index update -m $M --videos . >"$T/out" 2>"$T/err"
cd "$T/../.."
if grep -q 'FFmpeg\|libav\|libsw' "$T/err"; then
    echo "skip videos ($(head -1 "$T/err" | sed 's/.*: //'))"
    exit 0
fi
here=$PWD
for test in found every unasked stays_true models failures pictures_alone; do
    expect "videos: $test" $test
    cd "$here"
done
exit $status
