# Training that begins with a model.  Sourced by run.sh.

tuned() { # tuned OUT MORE...: e2e's model on the pairs
    out=$1
    shift
    "$CLIPC" train --init $M --data "$T/pairs" --out "$out" --batch-size 4 --steps 3 --warmup 1 \
        --threads 1 --set precision=f32 "$@" >"$T/out" 2>"$T/err"
}
same_model() { # same_model A B: the same weights, whatever the files' order
    cmp -s "$1/open_clip_model.safetensors" "$2/open_clip_model.safetensors"
}
tunes() { # with a rate of 0 it is the model still; with one it is not; its rate is told
    pairs && run 0 convert $M "$T/plain" -p f32 && tuned "$T/tuned0" --lr 0 && same_model "$T/plain" "$T/tuned0" &&
        tuned "$T/tuned" && grep -q 'rate of 1e-05.*begins with' "$T/err" && ! same_model "$T/plain" "$T/tuned"
}
tunes_sizes() { # positions of other sizes: as a conversion interpolates them
    run 0 convert $M "$T/larger" -p f32 --image-size 64 &&
        tuned "$T/tuned64" --lr 0 --image-size 64 && same_model "$T/larger" "$T/tuned64" &&
        tuned "$T/tuned20" --context-length 20 && run 0 info "$T/tuned20" && grep -q 'context 20,' "$T/out" &&
        tuned "$T/head" --new-head both --embed-dim 24 && run 0 info "$T/head" && grep -q '^embedding *24 floats' "$T/out"
}
tunes_bert() { # LiT: a text tower that cannot learn, locked
    cp -r tests/golden/variants/bert_linear "$T/bert" && chmod -R u+w "$T/bert" &&
        printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' a picture called grey >"$T/bert/vocab.txt" || return 1
    run 3 train --init "$T/bert" --data "$T/pairs" --out "$T/bert1" --threads 1 &&
        one_line && grep -q 'is a BERT: lock it' "$T/err" &&
        run 0 train --init "$T/bert" --data "$T/pairs" --out "$T/bert1" --lock-text --batch-size 4 --steps 3 \
            --threads 1 && run 0 classify $M/photo.jpg -m "$T/bert1" -l 'a,grey'
}
tunes_cached() { # LiT both ways: the second run finds what the first one computed
    tuned "$T/lit" --lock-text --cache-texts --cache-dir "$T/kept" && tuned "$T/lit0" --lock-text &&
        same_model "$T/lit" "$T/lit0" && tuned "$T/lit2" --lock-text --cache-texts --cache-dir "$T/kept" &&
        same_model "$T/lit" "$T/lit2" && [ "$(ls "$T"/kept/texts-*.features | wc -l)" = 1 ] &&
        tuned "$T/tower" --lock-image --cache-features 2 && ls "$T"/tower/cache/pictures-*.features >"$T/out"
}
tunes_errors() {
    no="run 3 train --data $T/pairs --out $T/no --threads 1"
    $no --lock-text && one_line && grep -q '"lock_text" wants a model' "$T/err" &&
        $no --init $M --set "$TINY" && one_line && grep -q '"model" is told by' "$T/err" &&
        $no --init $M --embed-dim 8 && one_line && grep -q 'new_head' "$T/err" &&
        $no --init $M --lock-text --lock-image && one_line && grep -q 'nothing is left' "$T/err" &&
        $no --init $M --lock-text-unlocked-layers 1 && one_line && grep -q 'not locked' "$T/err" &&
        $no --distill-loss embeddings && one_line && grep -q '"distill_loss" wants a model' "$T/err" &&
        $no --distill-weight 2 && one_line && grep -q '"distill_weight" wants a model' "$T/err" &&
        $no --init $M --image-size 0 && one_line && grep -q '"image_size" is 0' "$T/err" &&
        $no --init $M --new-head both --embed-dim 0 && one_line && grep -q '"embed_dim" is 0' "$T/err" &&
        $no --init $M --cache-texts && one_line && grep -q '"cache_texts" wants' "$T/err" &&
        $no --init models/clipc-drawings --lock-image --cache-features 2 && one_line && grep -q freeze_bn "$T/err" &&
        $no --init no-such-model && one_line && grep -q 'no-such-model' "$T/err"
}
expect 'train --init: from a model, at its rate' tunes
expect 'train --init: other sizes, a new head' tunes_sizes
expect 'train --init: a locked BERT' tunes_bert
expect 'train --init: features of locked towers kept' tunes_cached
expect 'train --init: errors' tunes_errors
