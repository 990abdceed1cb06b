# Sourced by run.sh: evaluations beside zero-shot ones on a list, and runs that make them.
# Of the sets in E, pets has a folder for each class, words the same pictures with captions.
E=$T/eval
eval_sets() {
    mkdir -p "$E/pets/a_cat" "$E/pets/two_dogs" "$E/words" && cp $M/photo.jpg $M/picture.webp "$E/pets/a_cat/" &&
        cp $M/drawing.png "$E/pets/two_dogs/" && cp $M/*.jpg $M/*.png $M/*.webp "$E/words/" && echo junk >"$E/pets/a_cat/notes.txt"
    printf 'a photo of the number 42.\nwaves\n' >"$E/words/photo.txt"
    echo 'a cat' >"$E/words/drawing.txt"
    printf 'waves\r\n' >"$E/words/picture.txt"
}
eval_folder() { # classes by the names of folders; another class than those learned from is told
    eval_sets && run 0 eval "$E/pets" -m $M --json &&
        grep -q '"name":"pets","task":"zeroshot","pictures":3,"classes":2,"failed":0' "$T/out" &&
        printf 'pets/a_cat/photo.jpg\ta cat\npets/two_dogs/drawing.png\ttwo dogs\nno.jpg\ta cat\npets/a_cat/picture.webp\ta cat\n' >"$E/list.tsv" &&
        run 0 eval "$E/list.tsv" -m $M --linear-probe "$E/pets" -C 1000 --json &&
        grep -q '"task":"linear_probe","pictures":4,"classes":2,"failed":1,"top1":0.750000,"top5":0.750000,"trained_on":3,"C":1000' "$T/out" &&
        one_line && grep -q '^clipc: .*/no.jpg: ' "$T/err" || return 1
    printf '%s\ta cat\npets/two_dogs/drawing.png\ttwo dogs\n' "$PWD/$M/photo.jpg" >"$E/list.tsv" # absolute, too
    run 0 eval "$E/list.tsv" -m $M --json && grep -q '"pictures":2,"classes":2,"failed":0' "$T/out" || return 1
    printf 'pets/a_cat/photo.jpg\ta cow\n' >"$E/list.tsv"
    run 3 eval "$E/list.tsv" -m $M --linear-probe "$E/pets" && one_line && grep -q '"a cow" is none of the classes' "$T/err" &&
        run 2 eval "$E/pets" -C 0 && one_line && run 3 eval "$E/words" -m $M && one_line
}
# Of open_clip's features of these pictures and captions, and whether the best of a picture's own
# captions is ahead of all others (and the reverse), by tests/golden/check_retrieval.py.
RECALL='"captions":4,"failed":0,"image_to_text":\[0.333333,1.000000,1.000000\],"text_to_image":\[0.250000,1.000000,1.000000\]'
retrievals() { # the same by a folder, a list in any order, and a shard
    run 0 eval "$E/words" -m $M --retrieval --json && grep -q "$RECALL" "$T/out" || return 1
    printf 'words/photo.jpg\twaves\nwords/drawing.png\ta cat\nwords/picture.webp\twaves\nwords/photo.jpg\ta photo of the number 42.\n' >"$E/captions.tsv"
    run 0 eval "$E/captions.tsv" -m $M --retrieval --json && grep -q "$RECALL" "$T/out" &&
        (cd "$E/words" && tar -c photo.jpg photo.txt drawing.png drawing.txt picture.webp picture.txt) >"$E/words.tar" &&
        run 0 eval "$E/words.tar" -m $M --retrieval --json && grep -q "$RECALL" "$T/out" || return 1
    # The same words of another picture are no wrong answer, but a query of their own.
    for f in photo.jpg drawing.png picture.webp; do printf 'words/%s\twaves\n' $f; done >"$E/same.tsv"
    run 0 eval "$E/same.tsv" -m $M --retrieval --json &&
        grep -q '"captions":3,"failed":0,"image_to_text":\[1.000000,1.000000,1.000000\],"text_to_image":\[0.333333,1.000000,1.000000\]' "$T/out"
}
eval_names() { # of many pictures that cannot be read the first ten, and how many there are
    (echo "pets/a_cat/photo.jpg	waves" && for i in $(seq 12); do echo "none$i.jpg	waves"; done) >"$E/gone.tsv"
    for task in '' --retrieval; do
        run 0 eval "$E/gone.tsv" -m $M $task && grep -q ' 12 failed' "$T/out" && [ "$(wc -l <"$T/err")" = 11 ] &&
            [ "$(grep -c '^clipc: .*/none[0-9]*\.jpg: .*No such file' "$T/err")" = 10 ] &&
            tail -n 1 "$T/err" | grep -q '^clipc: gone.tsv: 12 pictures .* first 10$' || return 1
    done
    run 0 eval "$E/gone.tsv" "$E/pets" -m $M --json && [ "$(grep -o 'none[0-9]*.jpg: ' "$T/out" | wc -l)" = 10 ] &&
        tail -n 1 "$T/out" | grep -q ',"failures":\[\]}$'
}
eval_refuses() { # options that contradict each other, a SPEC, or have nothing to say; captions and classes by file
    run 2 eval "$E/words" -m $M --retrieval --linear-probe "$E/pets" && one_line && grep -q 'not both' "$T/err" &&
        run 2 eval "$E/pets" -m $M -C 1 && one_line && grep -q -e '--linear-probe' "$T/err" &&
        run 3 eval "$E/words.json" -m $M --linear-probe "$E/pets" && one_line && grep -q 'words.json: says itself' "$T/err" || return 1
    printf 'pets/a_cat/photo.jpg\tcaf\351\n' >"$E/latin1.tsv"
    run 3 eval "$E/latin1.tsv" -m $M --retrieval && one_line && grep -q 'latin1.tsv: pets/a_cat/photo.jpg: a caption is no UTF-8' "$T/err" &&
        run 3 eval "$E/latin1.tsv" -m $M && one_line && grep -q 'latin1.tsv: the name of a class is no UTF-8' "$T/err"
}
mixed_specs() { # all kinds in one call; a mistake in one is told, the others are done
    echo '{"name":"words","task":"retrieval","samples":"captions.tsv"}' >"$E/words.json"
    echo '{"name":"probe","task":"linear_probe","train":"probe.tsv","samples":"probe.tsv","classes":["cat","dog"],"C":10}' >"$E/probe.json"
    printf 'pets/a_cat/photo.jpg\t0\npets/two_dogs/drawing.png\t1\n' >"$E/probe.tsv"
    echo '{"task":"linear_probe","samples":"probe.tsv","classes":["cat","dog"]}' >"$E/bad.json"
    run 1 eval "$E/words.json" "$E/bad.json" "$E/probe.json" "$E/pets" -m $M --json && one_line &&
        grep -q 'no "train"' "$T/err" && [ "$(wc -l <"$T/out")" = 3 ] && grep -q "$RECALL" "$T/out" &&
        grep -q '"name":"probe","task":"linear_probe","pictures":2,.*"top1":1.0' "$T/out" || return 1
    echo '{"task":"singing","samples":"x"}' >"$E/bad.json"
    run 3 eval "$E/bad.json" -m $M && one_line && grep -q singing "$T/err"
}
evaluates_while_training() { # what the log says of the last step is what eval says of the model that is kept
    train "$T/watched" --set precision=f32 --set eval_every=3 --set val_every=3 --val "$T/pairs" \
        --set "eval=[\"$E/pets\",\"$E/words.json\",\"$E/probe.json\"]" || return 1
    [ "$(grep -c '"step":3,"eval"' "$T/watched/log.jsonl")" = 3 ] && [ "$(grep -c '^step 6: ' "$T/err")" = 4 ] &&
        run 0 eval "$E/pets" "$E/words.json" "$E/probe.json" -m "$T/watched" --json || return 1
    for part in '"top1":[0-9.]*' '"image_to_text":[^]]*' '"text_to_image":[^]]*'; do
        grep -o "$part" "$T/out" | sed 's/0*\([],]\)/\1/g;s/0*$//' >"$T/by_eval"
        grep '"step":6,"eval"' "$T/watched/log.jsonl" | grep -o "$part" | sed 's/0*\([],]\)/\1/g;s/0*$//' | cmp -s - "$T/by_eval" || return 1
    done
    # What is not there or broken is told before the run begins; what breaks on the way, at its end too.
    echo '{"task":"retrieval","samples":"words.tar","clases":[]}' >"$E/bad.json"
    for set in no-such "$E/bad.json" "$E/latin1.tsv"; do
        run 3 train --data "$T/pairs" --out "$T/x" --eval "$set" && one_line && grep -q "$set: " "$T/err" && [ ! -e "$T/x" ] || return 1
    done
    mkdir "$E/torn" && echo 'a cat' >"$E/torn/a.txt" && head -c 900 $M/photo.jpg >"$E/torn/a.jpg" &&
        echo '{"task":"retrieval","samples":"torn"}' >"$E/torn.json" || return 1
    train "$T/sick" --set eval_every=3 --eval "$E/torn.json"
    [ $? = 1 ] && grep -q '^clipc: 2 evaluations failed, the last at step 6: .*a.jpg' "$T/err"
}
watches() { # by the log of a run: where it is, its curves with another's, units on every axis
    run 0 train status "$T/watched" && grep -q ': done' "$T/out" && grep -q 'step  *6 of 6, 100 %' "$T/out" &&
        grep -q 'evaluation .* words .* R@1' "$T/out" && grep -q 'checkpoints  2, .* MB, the newest of step 6' "$T/out" &&
        run 1 train status "$T/watched" no-such --json && one_line &&
        grep -q '"process":null,"step":6,"steps":6,"batch":4,"loss_nats":' "$T/out" || return 1
    run 0 train plot "$T/watched" models/clipc-drawings -o "$T/c.svg" || return 1
    for words in 'loss, means of 2 logged steps (nats)' 'held-out top-1 (%)' 'pets top-1 (%)' 'words text to image R@1 (%)' \
        'probe top-1 (%)' 'learning rate (1)' 'optimizer steps' "$T/watched" models/clipc-drawings; do
        grep -qF ">$words<" "$T/c.svg" || { echo "# no $words"; return 1; }
    done
    [ "$(grep -c '<polyline' "$T/c.svg")" = 10 ] && # both have loss, rate and held-out data; one has evaluations
        run 2 train plot && one_line && run 3 train plot no-such && one_line && run 0 train plot "$T/watched" && grep -q '^<svg' "$T/out" ||
        return 1
    cp -r "$T/watched" "$T/torn" && printf '{"step":7,"lo' >>"$T/torn/log.jsonl" && run 0 train status "$T/torn" &&
        echo 'nonsense' >>"$T/torn/log.jsonl" && run 3 train status "$T/torn" && one_line && grep -q 'line 1[0-9]' "$T/err"
}
expect 'eval: folders of classes, lists, a linear probe' eval_folder
expect 'eval: retrieval' retrievals
expect 'eval: specs of every kind' mixed_specs
expect 'eval: pictures that cannot be read' eval_names
expect 'eval: what contradicts, what is no text' eval_refuses
expect 'train: evaluates on the way' evaluates_while_training
expect 'train: status and plot' watches
