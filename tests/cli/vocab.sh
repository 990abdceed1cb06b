# clipc vocab train, and training with what it learned.  Sourced by run.sh, whose functions it
# uses.
V=tests/golden/vocab

vocab_golden() { # the merges of the golden, from a file, from a pipe, in any order of the lines
    run 0 vocab train $V/captions.txt -o "$T/v" --size 700 --json &&
        grep -q '^{"folder":"[^"]*","size":700,"captions":90,"words":[0-9]*,"different":[0-9]*}$' "$T/out" &&
        cmp "$T/v/merges.txt" $V/captions.merges &&
        sort $V/captions.txt | "$CLIPC" vocab train - -o "$T/v2" -n 700 >/dev/null &&
        cmp "$T/v/merges.txt" "$T/v2/merges.txt" && cmp "$T/v/vocab.json" "$T/v2/vocab.json"
}
vocab_sets() { # a folder and a shard have the same captions, whatever their pictures
    pairs && mkdir "$T/set" && cp "$T"/pairs/g* "$T/set/" &&
        echo '{"caption": "a cat", "captions": ["a cat", "two cats"]}' >"$T/set/zoo.json" &&
        echo x >"$T/set/zoo.png" && (cd "$T/set" && tar cf ../set.tar -- *) || return 1
    run 0 vocab train "$T/set" -o "$T/v3" -n 514 --json && grep -q '"captions":4,' "$T/out" &&
        run 0 vocab train "$T/set.tar" -o "$T/v4" -n 514 --json && grep -q '"captions":4,' "$T/out"
}
vocab_kept() { # nothing is replaced unless asked, nothing is written of what failed
    cp "$T/v2/merges.txt" "$T/before" && echo '{}' >"$T/v2/tokenizer.json"
    run 3 vocab train $V/captions.txt -o "$T/v2" -n 600 && one_line && grep -q 'exists already' "$T/err" &&
        cmp "$T/before" "$T/v2/merges.txt" || return 1
    run 0 vocab train $V/captions.txt -o "$T/v2" -n 600 --force && [ ! -e "$T/v2/tokenizer.json" ] || return 1
    printf 'a cat\ncaf\351\n' >"$T/latin1"
    run 3 vocab train "$T/latin1" -o "$T/v5" -n 600 && one_line && grep -q 'latin1: line 2: ' "$T/err" &&
        run 3 vocab train "$T/none" -o "$T/v5" -n 600 && one_line && grep -q 'none: ' "$T/err" &&
        run 3 vocab train /dev/null -o "$T/v5" -n 600 && one_line && [ ! -e "$T/v5" ]
}
vocab_stopped() { # Ctrl-C while a pipe is read
    mkfifo "$T/fifo"
    # Background jobs of a shell without job control ignore SIGINT; SIGTERM is caught alike.
    "$CLIPC" vocab train "$T/fifo" -o "$T/v6" -n 600 >"$T/out" 2>"$T/err" &
    pid=$!
    exec 3>"$T/fifo" # returns when clipc reads
    echo 'a cat' >&3
    kill -TERM $pid
    exec 3>&- # should the signal have come between two reads
    wait $pid 2>/dev/null
    got=$?
    [ $got = 143 ] && one_line && grep -q 'nothing was written' "$T/err" && [ ! -e "$T/v6" ]
}
vocab_usage() {
    run 2 vocab && one_line && run 2 vocab train -o x -n 600 && one_line && run 2 vocab train x -n 600 && one_line &&
        run 2 vocab train x -o y && one_line && run 2 vocab train x -o y -n 513 && one_line &&
        run 2 vocab train x -o y -n 49409 && one_line && grep -q '514 to 49408' "$T/err"
}
vocab_trained() { # a model trained with it keeps it: as a folder, as one file, in Hugging Face's layout
    small=$(echo "$TINY" | sed 's/"vocab_size":49408,//')
    train "$T/vm" --set "$small" --tokenizer "$T/v" && run 0 info "$T/vm" &&
        grep -q 'vocabulary 700' "$T/out" && run 0 tokenize -m "$T/vm" --json 'a photo of a cat' &&
        grep -q '"ids":\[698,320,522,78,611,571,320,66,64,339,699,699' "$T/out" || return 1
    cp "$T/out" "$T/ids"
    for to in clipc hf open_clip; do
        run 0 convert "$T/vm" "$T/vm.$to" --to $to && run 0 tokenize -m "$T/vm.$to" --json 'a photo of a cat' &&
            cmp "$T/out" "$T/ids" || return 1
    done
    rm "$T/vm/checkpoints/step-0000000006.safetensors"
    mv "$T/vm/open_clip_model.safetensors" "$T/vm.whole"
    run 0 train --out "$T/vm" --resume && cmp -s "$T/vm/open_clip_model.safetensors" "$T/vm.whole"
}
vocab_misfits() { # too few rows; no vocabulary; an end token that the text tower cannot find
    few=$(echo "$TINY" | sed 's/49408/699/')
    train "$T/x" --set "$few" --tokenizer "$T/v" && return 1
    one_line && grep -q 'its 699 tokens are not those of its tokenizer, 700' "$T/err" || return 1
    train "$T/x" --tokenizer "$T/pairs" && return 1
    one_line && grep -q 'pairs: no vocab.json and merges.txt' "$T/err" || return 1
    mkdir "$T/v7" && cp "$T/v/merges.txt" "$T/v7/" && sed 's/:699}/:0}/' "$T/v/vocab.json" >"$T/v7/vocab.json"
    train "$T/x" --tokenizer "$T/v7" && return 1
    one_line && grep -q 'largest id' "$T/err"
}
expect 'vocab train: the merges of the golden' vocab_golden
expect 'vocab train: folders and shards' vocab_sets
expect 'vocab train: errors, nothing lost' vocab_kept
expect 'vocab train: stopped' vocab_stopped
expect 'vocab train: usage' vocab_usage
expect 'train: a learned vocabulary' vocab_trained
expect 'train: vocabularies that do not fit' vocab_misfits
