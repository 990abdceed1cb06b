#!/bin/sh
# What goes wrong around a run: nothing is lost beyond the last checkpoint, and one line says why.
. tests/cli/harness.sh
pairs
(cd "$T/pairs" && tar -c *) >"$T/pairs.tar"
settings() { # what every run here has, by its data
    echo "--data $1 --set $TINY --batch-size 4 --warmup 2 --threads 1 --set save_every=5 --set keep=50"
}
train() { # train OUT DATA STEPS MORE...: in place of the shell
    out=$1 data=$2 steps=$3
    shift 3
    exec "$CLIPC" train --out "$out" $(settings "$data") --steps "$steps" "$@" >/dev/null 2>"$T/err"
}
step() { printf '%s/checkpoints/step-%010d.safetensors' "$1" "$2"; }
newest() { ls "$1"/checkpoints/step-*.safetensors | tail -1 | sed 's/.*step-0*//;s/\..*//'; }

(train "$T/whole" "$T/pairs" 300) || say 'a run without faults' 1

terminated() { # saved at once, wherever it is; the rest gives the same bits
    train "$T/term" "$T/pairs" 300 &
    pid=$!
    wait_for [ -e "$(step "$T/term" 5)" ] || return 1
    "$CLIPC" train status "$T/term" | grep -q "running, process $pid" || return 1
    (train "$T/term" "$T/pairs" 300 --force) && return 1 # nobody else may
    [ $? = 3 ] && grep -q "process $pid trains in it" "$T/err" || return 1
    kill -TERM $pid
    wait $pid 2>/dev/null
    [ $? = 143 ] || return 1
    at=$(newest "$T/term")
    [ "$at" -lt 300 ] && [ "$(tail -1 "$T/term/log.jsonl" | cut -d, -f1)" = "{\"step\":$at" ] &&
        "$CLIPC" train status "$T/term" | grep -q 'not running' || return 1
    "$CLIPC" train --out "$T/term" --resume 2>"$T/err" &&
        cmp -s "$T/term/open_clip_model.safetensors" "$T/whole/open_clip_model.safetensors"
}
disk_full() { # a checkpoint that does not fit: the ones before it stay, and no half one
    cp -r "$T/term" "$T/full" && rm "$T"/full/checkpoints/step-*[1-9].safetensors "$(step "$T/full" 300)"
    before=$(newest "$T/full")
    (trap '' XFSZ && ulimit -f 2000 && exec "$CLIPC" train --out "$T/full" --resume >/dev/null 2>"$T/err")
    [ $? = 3 ] && [ "$(grep -c '^clipc: ' "$T/err")" = 1 ] && grep -q 'safetensors.*: File too large' "$T/err" &&
        [ "$(newest "$T/full")" = "$before" ] && ! ls "$T"/full/checkpoints/*.safetensors.?????? 2>/dev/null || return 1
    "$CLIPC" train --out "$T/full" --resume 2>"$T/err" &&
        cmp -s "$T/full/open_clip_model.safetensors" "$T/whole/open_clip_model.safetensors"
}
device_full() { # the same on a file system that has no more room, where we may make one
    mkdir "$T/disk" && mount -t tmpfs -o size=24m tmpfs "$T/disk" 2>/dev/null || { echo 'skip a full disk (no tmpfs here)'; return 2; }
    (train "$T/disk/run" "$T/pairs" 300)
    [ $? = 3 ] && [ "$(grep -c '^clipc: ' "$T/err")" = 1 ] && grep -q 'No space left on device' "$T/err" &&
        [ "$(newest "$T/disk/run")" = 10 ]
    no=$?
    umount "$T/disk"
    return $no
}
shard_gone() { # of a shard that is cut while it is read no sample comes any more
    cp "$T/pairs.tar" "$T/cut.tar"
    train "$T/gone" "$T/cut.tar" 100000 &
    pid=$!
    wait_for [ -e "$(step "$T/gone" 5)" ] || return 1
    : >"$T/cut.tar"
    wait $pid 2>/dev/null
    [ $? = 3 ] && [ "$(grep -c '^clipc: ' "$T/err")" = 1 ] && grep -q '^clipc: .*cut.tar' "$T/err" && [ "$(newest "$T/gone")" -ge 5 ] || return 1
    (train "$T/none" "$T/cut.tar" 10)
    [ $? = 3 ] && one_line && grep -q 'cut.tar' "$T/err" && [ ! -e "$T/none/log.jsonl" ]
}
in_the_way() { # a run or a model that is there stays, unless --force says otherwise, and until all else is sound
    (train "$T/term" "$T/pairs" 10) && return 1
    grep -q -e '--force' "$T/err" && mkdir "$T/model" && cp "$T"/whole/open_clip* "$T/model/" || return 1
    (train "$T/model" "$T/pairs" 10) && return 1
    (train "$T/term" "$T/no-such" 10 --force) && return 1
    [ "$(newest "$T/term")" = 300 ] && (train "$T/term" "$T/pairs" 10 --force) &&
        grep -q "removed another run's log and [0-9]* checkpoints" "$T/err" && [ "$(newest "$T/term")" = 10 ] &&
        [ "$(grep -c '"loss":[0-9]' "$T/term/log.jsonl")" = 10 ]
}
expect 'SIGTERM: saved, and the same bits after it' terminated
expect 'a checkpoint that cannot be written' disk_full
device_full
no=$?
[ $no = 2 ] || say 'a full disk' $no
expect 'a shard that cannot be read' shard_gone
expect 'a folder with another run' in_the_way
exit $status
