# What a run keeps of how it began, and tells on the way.  Sourced by run.sh.
R=$T/resume
begun() { # begun OUT MORE...: stopped after 3 of 6 steps, as if killed
    train "$@" --set keep=9 --set log_every=1 && rm "$out/checkpoints/step-0000000006.safetensors"
}
elsewhere() { # everything of a run is found again from another working directory
    mkdir -p "$R" && pairs && cp -r "$T/pairs" "$R/data" && cp -r "$T/pairs" "$R/held" && mkdir "$R/set" "$R/set/a_cat" "$R/set/b" &&
        cp $M/photo.jpg "$R/set/a_cat/" && cp $M/drawing.png "$R/set/b/" && cp -r $M "$R/begin" && seq 0 7 >"$R/order" || return 1
    for data in data '["data"]' '[{"path":"data","weight":1}]'; do
        (cd "$R" && "$CLIPC" train --init begin --set "data=$data" --set order=order --val held --eval set --out run --batch-size 4 \
            --steps 6 --threads 1 --set save_every=3 --set keep=9 --lock-text --cache-texts --cache-dir kept) >"$T/out" 2>"$T/err" &&
            cp "$R/run/open_clip_model.safetensors" "$R/whole" && rm "$R/run/checkpoints/step-0000000006.safetensors" &&
            run 0 train --out "$R/run" --resume && cmp -s "$R/run/open_clip_model.safetensors" "$R/whole" &&
            [ "$(ls "$R/kept" | wc -l)" = 1 ] && rm -r "$R/run" "$R/kept" || return 1
    done
}
not_changed() { # what shapes a run cannot change on the way; how far it goes can
    begun "$T/shaped" || return 1
    for change in --lock-text '--set lock_image=true' '--set loss=sigmoid' '--ema .9' '--set model={"embed_dim":8}' '--context-length 8'; do
        run 3 train --out "$T/shaped" --resume $change && one_line && grep -q 'is not what the run began with' "$T/err" || return 1
    done
    run 0 train --out "$T/shaped" --resume --set loss=softmax --steps 7 && grep -q '"step":7,"loss"' "$T/shaped/log.jsonl"
}
planned() { # a plan writes nothing, so that it may look at a folder in use
    ls -lR "$T/shaped" >"$T/list" && run 0 train --data "$T/pairs" --out "$T/shaped" --batch-size 4 --dry-run &&
        grep -q 'MiB of memory' "$T/err" && ls -lR "$T/shaped" | cmp -s - "$T/list"
}
kept_apart() { # a model is not written over a run; the card of another model is told
    run 3 convert $M "$T/shaped" --force && one_line && grep -q 'shaped: holds a run' "$T/err" &&
        run 0 convert $M "$T/carded" && echo '# e2e' >"$T/carded/README.md" &&
        train "$T/carded" --force && grep -q 'README.md in .*carded is of the model that was there' "$T/err"
}
progresses() { # where no terminal is, a line every 100 steps and checkpoint
    train "$T/long" --steps 205 --set save_every=150 && [ "$(grep -o '^step [0-9]*/205  loss' "$T/err" | tr -dc '0-9/\n' | tr '\n' ' ')" = '100/205 150/205 200/205 205/205 ' ] &&
        train "$T/silent" --quiet && ! grep -q '^step' "$T/err" && grep -q '^done: ' "$T/err"
}
validated() { # a signal where validation is due: it is made up for when the run goes on
    train "$T/late" --steps 400 --set save_every=100000 --val "$T/pairs" --set val_every=1 --eval "$E/pets" --set eval_every=400 &
    pid=$!
    wait_for grep -qs '"step":20,"val_top1"' "$T/late/log.jsonl"
    pkill -TERM -P $pid || kill -TERM $pid
    wait $pid 2>/dev/null
    at=$(tail -1 "$T/late/log.jsonl" | tr -dc '0-9,' | cut -d, -f1)
    [ "$at" -lt 400 ] && run 0 train --out "$T/late" --resume --set steps=$((at + 3)) && [ "$(grep -c '"val_top1":[0-9]' "$T/late/log.jsonl")" = $((at + 3)) ] &&
        [ "$(grep -c '"eval"' "$T/late/log.jsonl")" = 1 ]
}
expect 'train: resumed from another working directory' elsewhere
expect 'train: what a run cannot change' not_changed
expect 'train: a plan writes nothing' planned
expect 'train, convert: not over a run' kept_apart
expect 'train: progress without a terminal' progresses
expect 'train: validation after a signal' validated
