# What clipc train learns from.  Sourced by run.sh, whose functions it uses.
same_weights() { cmp -s "$1/open_clip_model.safetensors" "$2/open_clip_model.safetensors"; }

data_kinds() { # the same pairs from a folder, a shard, a table, a list with a pattern: the same bits
    pairs && train "$T/k1" || return 1
    (cd "$T/pairs" && for f in *.png; do echo "pairs/$f;a picture called ${f%.png}"; done) >"$T/rows"
    (echo 'img;says' && cat "$T/rows") >"$T/pairs.csv"
    (cd "$T/pairs" && tar cf ../00.tar g*.* && tar cf ../01.tar bi*.* && tar cf ../02.tar [!bg]*.*)
    train "$T/k2" --data "$T/pairs.csv" --csv-img-key img --csv-caption-key says --csv-separator ';' &&
        same_weights "$T/k1" "$T/k2" || return 1
    printf '01.tar\n{00..02..}.tar\n' >"$T/list.txt"
    run 3 train --data "$T/list.txt" --out "$T/k3" && one_line || return 1
    printf '01.tar\n{00,02}.tar\n' >"$T/list.txt"
    train "$T/k3" --data "$T/list.txt" && same_weights "$T/k1" "$T/k3"
}
data_classes() { # folders of classes; no caption and no class is told
    mkdir -p "$T/classes/grey_ones" "$T/classes/other" && cp "$T"/pairs/grey*.png "$T/classes/grey_ones/" &&
        cp "$T"/pairs/rgb*.png "$T/classes/other/" && train "$T/c1" --data "$T/classes" --batch-size 2 || return 1
    train "$T/c2" --data "$T/classes/other" && return 1
    one_line && grep -q 'other: no picture with a caption in it: .*no caption beside it' "$T/err"
}
data_epochs() { # shuffled, cut in the middle of an epoch and of a shard: the same bits
    train "$T/e1" --data "$T/list.txt" --set shuffle=true --set keep=9 --set save_every=1 &&
        ! same_weights "$T/k3" "$T/e1" || return 1
    cp "$T/e1/open_clip_model.safetensors" "$T/e1.whole"
    rm "$T"/e1/checkpoints/step-000000000[4-6].safetensors
    run 0 train --out "$T/e1" --resume --set workers=3 &&
        cmp -s "$T/e1/open_clip_model.safetensors" "$T/e1.whole" || return 1
    # 3 epochs of 8 pairs are 6 steps of 4.
    run 0 train --data "$T/list.txt" --out "$T/e2" --set "$TINY" --batch-size 4 --epochs 3 --warmup 2 --threads 1 &&
        cmp -s "$T/e2/open_clip_model.safetensors" "$T/e1.whole" &&
        [ "$(grep -c '"loss":[0-9]' "$T/e2/log.jsonl")" = 6 ] &&
        run 3 train --data "$T/pairs" --out "$T/e3" --set steps=1 --set epochs=1 && one_line && grep -q '"epochs"' "$T/err"
}
data_broken() { # told once, by name and reason, in the log too; too many end it
    cp -r "$T/pairs" "$T/some" && head -c 200 "$T/pairs/rgba.png" >"$T/some/rgba.png"
    train "$T/b1" --data "$T/some" && return 1
    grep -q '^clipc: 1 of 8 samples are broken, more than max_broken 0.1: .*some/rgba.png: ' "$T/err" || return 1
    train "$T/b2" --data "$T/some" --set max_broken=1 && [ "$(grep -c '^broken sample: .*/some/rgba.png: ' "$T/err")" = 1 ] &&
        [ "$(grep -c '"broken_sample":".*rgba.png: ' "$T/b2/log.jsonl")" = 1 ] &&
        tail -n 1 "$T/b2/log.jsonl" | grep -q '"broken":1}' &&
        run 0 train plot "$T/b2" -o "$T/b2.svg" || return 1
    rm "$T/some/rgba.txt" "$T/some/grey.txt" # nothing is drawn of what the index leaves out
    train "$T/b3" --data "$T/some" && return 1
    one_line && grep -q '2 of 8 samples are broken, .*no caption beside it' "$T/err" || return 1
    rm -r "$T/some" && cp -r "$T/pairs" "$T/some" && printf 'caf\351\n' >"$T/some/grey.txt" # Latin-1
    (cd "$T/some" && tar cf ../latin1.tar *)
    for set in "$T/some" "$T/latin1.tar"; do
        run 0 data stats "$set" && grep -q '^broken  *1$' "$T/out" && grep -q 'grey.*: no caption in UTF-8' "$T/out" &&
            run 3 train --data "$set" --out "$T/x" && one_line && grep -q 'grey.*: no caption in UTF-8' "$T/err" || return 1
    done
    for set in no-such.png no-such.csv no-such.tar 'no-{such,one}.jpg' no-such; do
        run 3 data stats "$set" && one_line && grep -q '^clipc: no-such[^:]*: [Nn]o such file' "$T/err" &&
            run 3 data make "$set" --out "$T/x" && one_line && grep -q '^clipc: no-such[^:]*: [Nn]o such file' "$T/err" || return 1
    done
}
data_ends() { # too many broken samples: what was learned is saved, and goes on as if more had been allowed
    rm -rf "$T/some" && cp -r "$T/pairs" "$T/some" && head -c 200 "$T/pairs/rgba.png" >"$T/some/rgba.png" && seq 0 7 >"$T/order"
    late="--data $T/some --set order=$T/order --set save_every=100"
    train "$T/b4" $late --set max_broken=1 || return 1
    train "$T/b5" $late && return 1
    [ $? = 3 ] || return 1
    grep -q '^saved at step 1; .* --resume --set max_broken=N$' "$T/err" && grep -q '^clipc: 1 of 8 samples are broken' "$T/err" &&
        run 0 train --out "$T/b5" --resume --set max_broken=1 && [ "$(grep -c '"broken_sample"' "$T/b5/log.jsonl")" = 1 ] &&
        cmp -s "$T/b4/open_clip_model.safetensors" "$T/b5/open_clip_model.safetensors" || return 1
    echo 7 >"$T/order" # the first step has it: nothing was learned
    train "$T/b6" $late && return 1
    grep -q 'nothing to resume' "$T/err" && [ "$(ls "$T/b6/checkpoints")" = '' ] && train "$T/b6" --steps 1
}
data_augments() { # each change of the views changes the run; nonsense is refused
    for view in '{}' '{"color_jitter":[0.4,0.4,0.4,0.1]}' '{"color_jitter":[0.4,0.4,0.4,0.1],"color_jitter_prob":0.3}' \
        '{"blur":1}' '{"re_prob":1}' '{"re_prob":1,"re_count":3}'; do
        train "$T/a" --set "augment=$view" && cat "$T/a/open_clip_model.safetensors" | cksum && rm -r "$T/a" || return 1
    done >"$T/sums"
    [ "$(sort -u "$T/sums" | wc -l)" = 6 ] || return 1
    for view in '{"blur":2}' '{"color_jitter":[0,0,0,0.6]}' '{"blur_sigma":[2,1]}' '{"re_count":0}' '{"color_jitter":0.4}' '{"color":1}'; do
        train "$T/a" --set "augment=$view" && return 1
        one_line || return 1
    done
}
data_makes() { # shards train as what they were made of, whole or stopped on the way
    run 0 data make "$T/pairs" --out "$T/m1" --per-shard 3 --json &&
        grep -q '"samples":8,"shards":3,"bytes":[0-9]*,"rewritten":0,"broken":0}' "$T/out" &&
        [ "$(ls "$T/m1" | tr '\n' ' ')" = '00000.tar 00001.tar 00002.tar ' ] && [ ! -e "$T/m1.partial" ] &&
        tar xf "$T/m1/00001.tar" -O 000000003.png | cmp - "$T/pairs/palette.png" &&
        train "$T/k4" --data "$T/m1" && same_weights "$T/k1" "$T/k4" || return 1
    run 3 data make "$T/pairs" --out "$T/m1" && one_line && grep -q 'm1: exists already' "$T/err" || return 1
    cp -r "$T/pairs" "$T/mend" && head -c 200 "$T/pairs/rgba.png" >"$T/mend/rgba.png"
    run 3 data make "$T/mend" --out "$T/m2" --per-shard 3 && [ ! -e "$T/m2" ] && [ -e "$T/m2.partial/00001.tar" ] &&
        grep -q '^clipc: 1 of 8 samples are broken' "$T/err" || return 1
    run 3 data make "$T/mend" --out "$T/m2" --per-shard 4 && one_line && grep -q 'm2.partial: left by' "$T/err" || return 1
    cp "$T/pairs/rgba.png" "$T/mend/" && touch -d @0 "$T/m2.partial/00000.tar"
    run 0 data make "$T/mend" --out "$T/m2" --per-shard 3 --json && grep -q '"samples":8,"shards":3' "$T/out" &&
        [ "$(stat -c %Y "$T/m2/00000.tar")" = 0 ] && [ "$(ls "$T/m2" | wc -l)" = 3 ] || return 1
    for i in 0 1 2; do cmp "$T/m1/0000$i.tar" "$T/m2/0000$i.tar" || return 1; done
}
data_makes_anew() { # shrunk, other formats, several captions, tint, in random order
    mkdir "$T/mixed" && cp "$T/pairs/rgb_64x64.png" "$T/pairs/rgba.png" tests/golden/formats/rgba.bmp "$T/mixed/" &&
        printf 'one\ntwo\n' >"$T/mixed/rgb_64x64.txt" && echo '{"caption":"ink","tint":true}' >"$T/mixed/rgba.json" &&
        echo bitmap >"$T/mixed/rgba2.txt" && mv "$T/mixed/rgba.bmp" "$T/mixed/rgba2.bmp" || return 1
    run 0 data make "$T/mixed" -o "$T/m3" --side 32 --quality 60 --json && grep -q '"samples":3,"shards":1,.*"rewritten":[23],' "$T/out" &&
        mkdir "$T/un" && tar xf "$T/m3/00000.tar" -C "$T/un" &&
        [ "$(cat "$T/un/000000000.json")" = '{"caption":"one","captions":["one","two"]}' ] &&
        [ "$(cat "$T/un/000000001.json")" = '{"caption":"ink","captions":["ink"],"tint":true}' ] &&
        [ "$(cat "$T/un/000000000.txt")" = one ] && head -c 3 "$T/un/000000000.jpg" | cmp -s - "$M/photo.jpg" -n 3 || return 1
    run 0 data make "$T/m3" -o "$T/m4" --side 32 --json && grep -q '"rewritten":0,' "$T/out" && cmp "$T/m3/00000.tar" "$T/m4/00000.tar" || return 1
    run 0 data make "$T/pairs" -o "$T/m5" --shuffle 1 && run 0 data make "$T/pairs" -o "$T/m6" --shuffle 2 &&
        ! cmp -s "$T/m5/00000.tar" "$T/m6/00000.tar" &&
        rm "$T"/un/* && tar xf "$T/m5/00000.tar" -C "$T/un" || return 1
    for f in "$T"/un/*.txt; do cat "$f" && echo; done >"$T/said"
    cat "$T"/pairs/*.txt >"$T/want" && ! cmp -s "$T/said" "$T/want" &&
        [ "$(sort "$T/said")" = "$(sort "$T/want")" ] || return 1
    run 2 data && one_line && run 2 data make x && one_line && run 2 data make -o x && one_line &&
        run 2 data make x -o y --quality 0 && one_line && run 3 data make no-such -o "$T/y" && one_line && [ ! -e "$T/y.partial" ]
}
data_counts() { # what is in a set, what is there twice, what is near to another
    cp -r "$T/pairs" "$T/set2" && cp "$T/pairs/grey.png" "$T/set2/zz.png" && echo 'a <b> & picture' >"$T/set2/zz.txt" &&
        head -c 200 "$T/pairs/rgba.png" >"$T/set2/rgba.png" && mkdir "$T/seen" && cp "$T/pairs/rgb_41x29.png" "$T/seen/" || return 1
    run 0 data stats "$T/set2" --against "$T/seen" --html "$T/sheet.html" --json &&
        grep -q '"samples": 9, "broken": 1, "broken_first": \["[^"]*rgba.png: ' "$T/out" &&
        grep -q '"formats": {"png": 8}' "$T/out" && grep -q '"width": {"least": 33, "median": 50, "p95": 64, "most": 64,' "$T/out" &&
        grep -q '"all": 9, .*"different": 9, "most": \[\], ' "$T/out" &&
        grep -q '"tokens": {"least": 6, "median": 8, ' "$T/out" &&
        grep -q '"duplicates": {"pictures": 1, "groups": \[\["[^"]*grey.png", "[^"]*zz.png"\]\]}' "$T/out" &&
        grep -q '"near": {"against": 1, "below": 9.0, "pictures": 1, "pairs": \[{"picture": "[^"]*rgb_41x29.png"' "$T/out" || return 1
    # 8 at random, one of the two that are the same, one with what it is near to
    [ "$(grep -c '<figure><img alt="" src="data:image/jpeg;base64,/9j' "$T/sheet.html")" = 11 ] &&
        grep -q 'a &lt;b&gt; &amp; picture' "$T/sheet.html" && grep -q '2 times' "$T/sheet.html" || return 1
    run 0 data stats "$T/set2" "$T/m1" && grep -q '^duplicates  *8 pictures' "$T/out" && grep -q '^captions  *17, 9 different' "$T/out" &&
        run 3 data stats "$T/set2" --html "$T/sheet.html" && one_line && grep -q 'exists already' "$T/err" &&
        run 3 data stats "$T/seen" && one_line && run 2 data stats && one_line &&
        run 2 data stats x --csv-separator ab && one_line
}
expect 'train: the same pairs from folder, shard, table, list' data_kinds
expect 'train: folders of classes' data_classes
expect 'train: epochs, cut and resumed' data_epochs
expect 'train: broken samples' data_broken
expect 'train: too many broken samples, on the way' data_ends
expect 'train: augmentation' data_augments
expect 'data make: trained the same, stopped and continued' data_makes
expect 'data make: shrunk, captions, order' data_makes_anew
expect 'data stats: sizes, duplicates, what is near, a sheet' data_counts
