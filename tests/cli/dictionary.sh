# Captions said otherwise.  Sourced by run.sh, after data.sh, whose functions it uses.
words() { printf '# one word\npicture\timage\n' >"$T/words.tsv"; }

says_otherwise() { # by chance 1 what captions with the other word teach; by chance 0 nothing
    words && pairs && mkdir -p "$T/images" && cp "$T"/pairs/*.png "$T/images/" || return 1
    for f in "$T"/pairs/*.txt; do sed 's/picture/image/' "$f" >"$T/images/${f##*/}"; done
    train "$T/w0" && train "$T/w1" --data "$T/images" && ! same_weights "$T/w0" "$T/w1" &&
        train "$T/w2" --dictionary "$T/words.tsv" --set dictionary_prob=1 && same_weights "$T/w1" "$T/w2" &&
        train "$T/w3" --dictionary "$T/words.tsv" --set dictionary_prob=0 && same_weights "$T/w0" "$T/w3"
}
resumes_so() { # cut, and gone on with from elsewhere: the same bits
    (cd "$T" && "$CLIPC" train --data pairs --out w4 --set "$TINY" --batch-size 4 --steps 6 --warmup 2 --threads 1 \
        --set save_every=3 --dictionary words.tsv --set dictionary_prob=0.5 2>err) &&
        ! same_weights "$T/w0" "$T/w4" && ! same_weights "$T/w1" "$T/w4" &&
        cp "$T/w4/open_clip_model.safetensors" "$T/w4.whole" && rm "$T/w4/checkpoints/step-0000000006.safetensors" &&
        run 0 train --out "$T/w4" --resume && cmp -s "$T/w4/open_clip_model.safetensors" "$T/w4.whole"
}
refuses_words() { # bad files, by line; a chance without a file
    printf 'sofa\tcouch\nsofa couch\n' >"$T/bad.tsv"
    run 3 train --data "$T/pairs" --out "$T/x" --dictionary "$T/bad.tsv" && one_line && grep -q 'bad.tsv: line 2: no tab' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/x" --dictionary no-such.tsv && one_line && grep -q '^clipc: .*no-such.tsv: .*No such file' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/x" --set dictionary_prob=1 && one_line && grep -q 'wants a "dictionary"' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/x" --dictionary "$T/words.tsv" --set dictionary_prob=2 && one_line &&
        run 3 data stats "$T/pairs" --dictionary "$T/bad.tsv" && one_line && [ ! -e "$T/x" ]
}
counts_words() { # captions that are a word, and those that have one
    words && printf 'grey\tgray\na picture called rgba\tred, green, blue\tgloss\n' >>"$T/words.tsv" &&
        cp -r "$T/pairs" "$T/few" && echo Grey >"$T/few/grey.txt" && echo none >"$T/few/palette.txt" &&
        run 0 data stats "$T/few" --dictionary "$T/words.tsv" --json && grep -q '"dictionary": {"words": 5, "whole": 2, "part": 5}' "$T/out" &&
        run 0 data stats "$T/few" --dictionary "$T/words.tsv" && grep -q '^said otherwise  *2 captions as a whole, 5 in part, by 5 words$' "$T/out"
}
wordnet() { # WordNet's files: first senses of both words, no seldom nouns, no examples
    mkdir -p "$T/wn" && cat >"$T/wn/index.noun" <<'END' && cat >"$T/wn/data.noun" <<'END' && cat >"$T/wn/cntlist.rev" <<'END' || return 1
  1 a licence  
couch n 2 1 @ 2 1 00000100 00000300  
day_bed n 1 1 @ 1 0 00000100  
he n 1 1 @ 1 0 00000400  
lounge n 2 1 @ 2 1 00000200 00000100  
run n 1 2 @ ~ 1 1 00000300  
stretch n 1 1 @ 1 1 00000300  
waiting_room n 1 1 @ 1 1 00000200  
END
  1 a licence  
00000100 06 n 03 couch 0 lounge 1 Day_bed 0 001 @ 00000900 n 0000 | a seat for two or more; "he slept on the couch"  
00000200 06 n 02 lounge 0 waiting_room 0 000 | a room to wait in (at stations)  
00000300 04 n 0b stretch 0 run 1 couch 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 000 | a period: "a run of luck"  
00000400 27 n 01 He 0 000 | a light gas  
END
couch%1:06:00:: 1 5
run%1:04:00:: 1 2
run%2:38:00:: 1 30
END
    sh recipes/dictionary/wordnet.sh "$T/wn" >"$T/wn.tsv" && tr '\t' '|' <"$T/wn.tsv" >"$T/out" &&
        printf '%s\n' 'couch|Day bed' 'couch|a seat for two or more|gloss' 'Day bed|a seat for two or more|gloss' \
            'lounge|waiting room' 'lounge|a room to wait in (at stations)|gloss' 'waiting room|a room to wait in (at stations)|gloss' \
            'stretch|a period|gloss' | cmp -s - "$T/out" || return 1
    sh recipes/dictionary/wordnet.sh "$T/wn" 2 | grep -q '^couch	lounge$' &&
        train "$T/w5" --dictionary "$T/wn.tsv" && same_weights "$T/w0" "$T/w5" || return 1 # no caption has these words
    ! sh recipes/dictionary/wordnet.sh "$T" 2>"$T/err" && one_line && grep -q 'index.noun: not there' "$T/err"
}
expect 'train: --dictionary' says_otherwise
expect 'train: --dictionary, resumed' resumes_so
expect 'train: bad dictionaries' refuses_words
expect 'data stats: --dictionary' counts_words
expect 'a dictionary out of WordNet' wordnet
