# What training makes small.  Sourced by run.sh; after init.sh, whose tuned() it calls.

logits() { # logits FOLDER: "SCALE BIAS" of a model, the bias empty where it has none
    "$CLIPC" info "$1" --json | sed 's/.*"logit_scale":\([^,}]*\)\(,"logit_bias":\([^,}]*\)\)\{0,1\}.*/\1 \3/'
}
sigmoids() { # a SigLIP: it has a bias, which moved, and each text's probability stands alone
    train "$T/sig" --set loss=sigmoid --steps 30 --lr 0.01 --set precision=f32 &&
        logits "$T/sig" | awk '{ exit !($1 > 9 && $1 < 11 && $2 > -11 && $2 < -9 && $2 != -10) }' &&
        run 0 classify "$T/pairs/grey.png" -m "$T/sig" -l grey --json &&
        sed 's/.*"score":\([0-9.e-]*\).*/\1/' "$T/out" | awk '{ exit !($1 < 0.9) }' &&
        run 0 similarity "$T/pairs/grey.png" -m "$T/sig" -T grey --json && grep -q '"logit_bias":-9\.' "$T/out"
}
sigmoid_from() { # scale and bias are the model's; those of the other loss begin anew; the model's config may tell
    tuned "$T/sig0" --lr 0 --set loss=sigmoid && [ "$(logits "$T/sig0")" = '10 -10' ] &&
        run 0 train --init "$T/sig" --data "$T/pairs" --out "$T/sig1" --batch-size 4 --steps 2 --lr 0 --threads 1 \
            --set loss=sigmoid --set precision=f32 && same_model "$T/sig" "$T/sig1" || return 1
    told=$(echo "$TINY" | sed 's/{/{"init_logit_scale":2,"init_logit_bias":-3,/')
    train "$T/told" --set "$told" --lr 0 --set precision=f32 && logits "$T/told" | grep -q '^7\.389.* -3$'
}
classes() { # of one class, pairs are no negatives of each other, whatever their captions: nothing to choose among
    mkdir "$T/of_classes" && for f in grey rgba palette; do
        cp "$T/pairs/$f.png" "$T/of_classes" &&
            echo '{"caption":"'$f'","class":7}' >"$T/of_classes/$f.json" || return 1
    done
    few="run 0 train --data $T/of_classes --set $TINY --batch-size 8 --steps 1 --threads 1"
    $few --out "$T/masked" && grep -q '"loss":0\(\.0*\)\{0,1\},' "$T/masked/log.jsonl" &&
        $few --out "$T/apart" --set equal_captions=negatives && ! grep -q '"loss":0[,.]' "$T/apart/log.jsonl"
}
objective_errors() {
    no="run 3 train --data $T/pairs --out $T/no --threads 1"
    $no --set loss=hinge && one_line && grep -q 'wanted softmax or sigmoid' "$T/err" &&
        $no --set equal_captions=some && one_line && grep -q 'mask, negatives or positives' "$T/err" &&
        $no --set label_smoothing=1 && one_line && grep -q 'label_smoothing' "$T/err" &&
        $no --set label_smoothing=0.1 --set loss=sigmoid && one_line && grep -q 'softmax loss alone' "$T/err"
}
expect 'train: the sigmoid loss makes a SigLIP' sigmoids
expect 'train: scale and bias begin as told' sigmoid_from
expect 'train: classes that count as equal captions' classes
expect 'train: objectives that are none' objective_errors
