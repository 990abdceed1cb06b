# Training that learns from a model.  Sourced by run.sh; after init.sh, whose tuned() it calls.

distils() { # the student sees what it would see without a teacher; by logits, of other sizes
    tuned "$T/alone" && tuned "$T/taught0" --distill models/clipc-drawings --distill-weight 0 &&
        same_model "$T/alone" "$T/taught0" && tuned "$T/taught" --distill models/clipc-drawings &&
        ! same_model "$T/alone" "$T/taught" || return 1
    run 3 train --init $M --data "$T/pairs" --out "$T/no" --distill $M --distill-loss x && one_line &&
        grep -q 'distill_loss' "$T/err"
}
kinds() { # other widths; whatever is learned beside the model goes on with the run
    printf 'a cat\n\nwaves\r\n' >"$T/kinds.txt"
    for kind in features "classes --distill-classes $T/kinds.txt"; do
        rm -rf "$T/kind" && tuned "$T/kind" --distill models/clipc-drawings --distill-loss $kind --steps 4 --set save_every=2 &&
            ! same_model "$T/alone" "$T/kind" && cp "$T/kind/open_clip_model.safetensors" "$T/kind.whole" &&
            rm "$T/kind/checkpoints/step-0000000004.safetensors" && run 0 train --out "$T/kind" --resume &&
            cmp -s "$T/kind/open_clip_model.safetensors" "$T/kind.whole" || return 1
    done
    run 3 train --out "$T/kind" --resume --distill-loss features && one_line && grep -q '"distill_loss" is not what the run began with' "$T/err" || return 1
    no="run 3 train --init $M --data $T/pairs --out $T/no --distill $M"
    $no --distill-loss classes && one_line && grep -q 'wants a file' "$T/err" &&
        $no --distill-classes "$T/kinds.txt" && one_line && grep -q 'wants "distill_loss"' "$T/err" &&
        $no --distill-loss classes --distill-classes "$T/no.txt" && one_line && grep -q 'no.txt' "$T/err"
}
expect 'train --distill' distils
expect 'train --distill: by features, by classes' kinds
