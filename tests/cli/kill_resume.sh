#!/bin/sh
# A run killed with SIGKILL at 20 moments, at least five of them inside a checkpoint's write,
# ends with the same weights as one that was left alone.  Prints one line.
. tests/cli/harness.sh
pairs
train() {
    out=$1
    shift
    exec "$CLIPC" train --data "$T/pairs" --out "$out" --set "$TINY" --batch-size 4 --steps 60 \
        --warmup 2 --threads 1 --set save_every=1 "$@" >/dev/null 2>"$T/err"
}
(train "$T/whole") || { echo "not ok killed and resumed: the whole run failed: $(cat "$T/err")"; exit 1; }

kills=0 inside=0 round=0 resume=
while [ $kills -lt 20 ] || [ $inside -lt 5 ]; do
    round=$((round + 1))
    [ $round -le 120 ] || { echo "not ok killed and resumed: $kills kills, $inside inside a write"; exit 1; }
    (train "$T/cut" $resume) &
    pid=$!
    # Moments differ by the round; every second one waits for a write to begin.
    sleep "0.0$((round * 7 % 9 + 1))"
    if [ $((round % 2)) = 0 ]; then
        n=0
        while [ $n -lt 300 ] && ! ls "$T"/cut/checkpoints/*.safetensors.?????? >/dev/null 2>&1; do
            n=$((n + 1))
        done
    fi
    kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
    for left in "$T"/cut/checkpoints/*.safetensors.??????; do
        [ -e "$left" ] && inside=$((inside + 1)) && rm -f "$left"
    done
    resume=
    for done in "$T"/cut/checkpoints/step-*.safetensors; do [ -e "$done" ] && resume=--resume; done
    # Enough steps must be left to be killed in: go back when the end is near.
    if [ -e "$T/cut/checkpoints/step-0000000055.safetensors" ]; then
        rm -rf "$T/cut"
        resume=
    fi
done
(train "$T/cut" $resume) || { echo "not ok killed and resumed: $(cat "$T/err")"; exit 1; }
a=$(sha256sum <"$T/whole/open_clip_model.safetensors")
b=$(sha256sum <"$T/cut/open_clip_model.safetensors")
if [ "$a" = "$b" ]; then
    echo "ok killed $kills times, $inside inside a write, and resumed: the same bits"
else
    echo "not ok killed $kills times and resumed: other bits"
    exit 1
fi
