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
expect 'train: the same pairs from folder, shard, table, list' data_kinds
expect 'train: folders of classes' data_classes
