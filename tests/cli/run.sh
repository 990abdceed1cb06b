#!/bin/sh
# The command as a user types it, and then all other scripts of this folder.
. tests/cli/harness.sh
LABELS='a cat,two dogs,Café at night,the number 42,a red ball & a cone,waves'

classify_golden() {
    run 0 classify $M/photo.jpg $M/drawing.png $M/picture.webp -m $M -l "$LABELS" \
        -T 'a photo of {}.' --json || return 1
    # First scores of golden.json: 0.80534602, 0.90197383, 0.51049917.
    grep -q 'photo.jpg","labels":\[{"label":"the number 42","score":0.80534' "$T/out" &&
        grep -q 'drawing.png","labels":\[{"label":"the number 42","score":0.9019' "$T/out" &&
        grep -q 'picture.webp","labels":\[{"label":"the number 42","score":0.5104' "$T/out"
}
classify_folder() { run 0 classify $M -m $M -l 'a,b' && [ "$(grep -c "^$M" "$T/out")" = 3 ]; }
circle() { # a picture once, though links lead back to its folder
    mkdir -p "$T/circle/in" && cp $M/photo.jpg "$T/circle/in/" && ln -s .. "$T/circle/in/up" &&
        ln -s in "$T/circle/too" && run 0 classify "$T/circle" -m $M -l 'a,b' &&
        [ "$(grep -c 'photo.jpg' "$T/out")" = 1 ]
}
classify_stdin() { "$CLIPC" classify - -m $M -l 'a,b' <$M/photo.jpg | grep -q '%'; }
classify_some() {
    run 1 classify $M/photo.jpg no-such.png -m $M -l 'a,b' --json && one_line &&
        grep -q 'no-such.png' "$T/err" && grep -q '"image":"no-such.png","error":' "$T/out" &&
        grep -q 'photo.jpg","labels"' "$T/out"
}
classify_none() { run 3 classify no-such.png -m $M -l 'a,b' && one_line; }
classify_corrupt() {
    head -c 900 $M/photo.jpg >"$T/cut.jpg"
    run 3 classify "$T/cut.jpg" -m $M -l 'a,b' && one_line && grep -q 'cut.jpg: damaged JPEG' "$T/err"
}
classify_limit() {
    run 3 classify $M/photo.jpg -m $M -l 'a,b' --max-megapixels 0.001 &&
        grep -q -e '--max-megapixels' "$T/err"
}
classify_labels() {
    printf 'a cat\r\n\nwaves\n' >"$T/labels"
    run 0 classify $M/photo.jpg -m $M -L "$T/labels" --top 1 --json &&
        grep -q '"labels":\[{"label":"[a-z ]*","score":[0-9.]*}\]}' "$T/out"
}
usage_errors() {
    run 2 classify $M/photo.jpg -m $M && one_line && run 2 classify -l a,b && one_line &&
        run 2 classify $M/photo.jpg -l a,a && one_line && run 2 classify x --no-such && one_line &&
        run 2 classify x -l a -T 'no hole' && one_line && run 2 classify x -l a --threads 0 &&
        run 2 no-such && run 2
}
helps() {
    for c in classify similarity embed search index dedup cluster train data vocab eval pull models info doctor bench convert quantize assemble tokenize preprocess; do
        run 0 $c --help && grep -q '^examples:' "$T/out" && grep -q "clipc $c" "$T/out" || return 1
    done
    run 0 train status --help && grep -q 'clipc train status' "$T/out" && run 0 train plot --help && grep -q 'clipc train plot' "$T/out" || return 1
    run 0 --help && run 0 --version && grep -q '^clipc [0-9]' "$T/out"
}
on_level() { CLIPC_ISA=$1 classify_golden; } # on_level INSTRUCTIONS
bad_isa() { CLIPC_ISA=nonsense run 3 info $M && one_line && grep -q CLIPC_ISA "$T/err"; }
bad_models() {
    run 3 info no-such-model && one_line && run 3 info tests/golden && one_line || return 1
    cp -r $M "$T/bad" && chmod -R u+w "$T/bad"
    head -c 100000 $M/open_clip_model.safetensors >"$T/bad/open_clip_model.safetensors"
    run 3 info "$T/bad" && one_line && grep -q 'outside data' "$T/err" || return 1
    cp $M/open_clip_model.safetensors "$T/bad/"
    printf '\377\177' | dd of="$T/bad/open_clip_model.safetensors" bs=1 seek=400000 conv=notrunc 2>/dev/null
    run 3 info "$T/bad" && one_line && grep -q 'NaN' "$T/err" || return 1
    echo '{"model_cfg": {"embed_dim": 16, "vision_cfg": {"no_such": 1}, "text_cfg": {}}}' \
        >"$T/bad/open_clip_config.json"
    run 3 info "$T/bad" && one_line && grep -q 'no_such' "$T/err" || return 1
    for vision in '"layers": [1,1,1], "width": 16' '"layers": [1,0,1,1], "width": 16' \
        '"layers": [1,1,1,1], "width": 16, "image_size": 50' \
        '"layers": [1,1,1,1], "width": 9999999' '"layers": 0' '"layers": [1,1,1,1]'; do
        echo '{"model_cfg": {"embed_dim": 16, "vision_cfg": {'"$vision"'}, "text_cfg": {}}}' \
            >"$T/bad/open_clip_config.json"
        run 3 info "$T/bad" && one_line || return 1
    done
    echo '{"model_cfg": ' >"$T/bad/open_clip_config.json"
    run 3 info "$T/bad" && one_line
}
embeds() {
    run 0 embed $M -T 'a dog' -m $M -o "$T/e.npy" && [ "$(wc -c <"$T/e.npy")" = $((128 + 4 * 16 * 4)) ] &&
        run 3 embed $M -m $M -o "$T/e.npy" && grep -q 'exists' "$T/err" &&
        run 0 embed $M -m $M -o "$T/e.npy" --force &&
        run 0 embed -T 'a dog' -m $M && grep -q '"text":"a dog","embedding":\[' "$T/out"
}
not_utf8() { run 3 embed -T "$(printf 'a\377b')" -m $M && one_line && grep -q 'UTF-8' "$T/err"; }
similarities() {
    run 0 similarity $M -T 'a dog' -T 'a cat' -m $M --json || return 1
    for key in images texts logits_per_image logits_per_text logit_scale; do
        grep -q "\"$key\":" "$T/out" || return 1
    done
    run 0 similarity $M -T 'a dog' -m $M && [ "$(grep -c 'a dog' "$T/out")" = 3 ]
}
tokens() {
    run 0 tokenize 'a photo of a cat' -m $M --json &&
        grep -q '"ids":\[49406,320,1125,539,320,2368,49407,0' "$T/out" && grep -q '"n":7,"pool":6' "$T/out" &&
        run 0 tokenize 'a cat' -m $M && grep -q 'cat</w>' "$T/out"
}
tokens_openai() { # without a model, whatever the default
    CLIPC_MODEL=no-such-model run 0 tokenize 'a cat <|endoftext|>' --json &&
        grep -q '"ids":\[49406,320,2368,49407,49407,0' "$T/out" && grep -q '"n":5,"pool":3' "$T/out" &&
        run 2 tokenize && run 2 tokenize --jsonl x && one_line
}
tokens_jsonl() {
    # What OpenAI's tokenizer makes of half a surrogate pair is U+FFFD, 39802 at the end of a word.
    printf '%s\n' '{"id":"a","text":"sch\u00c3\u00b6n"}' '' '{"id":[2],"text":"a\u0000b \ud800 \ud83d\ude42"}' \
        '{"text":"x"}' 'no json' '{"id":6}' >"$T/texts.jsonl"
    run 1 tokenize --jsonl <"$T/texts.jsonl" && [ "$(wc -l <"$T/err")" = 2 ] && [ "$(wc -l <"$T/out")" = 3 ] &&
        grep -q '^{"id":"a","ids":\[49406,844,7255,333,49407,0' "$T/out" &&
        grep -q '^{"id":\[2\],"ids":\[49406,3937,39802,14860,49407,0' "$T/out" &&
        grep -q '^{"line":4,"ids":\[49406,343,49407,0' "$T/out" &&
        grep -q 'line 5' "$T/err" && grep -q 'line 6: no "text"' "$T/err" || return 1
    printf '{"id":1,"text":"a cat"}\n' | "$CLIPC" tokenize --jsonl -m tests/golden/variants/hf_siglip >"$T/out" 2>"$T/err"
    [ $? = 3 ] && one_line
}
tokens_rules() { # open_clip's tokenizer, as the config says, also once it is clipc's own
    cp -r $M "$T/rules" && chmod -R u+w "$T/rules" &&
        sed 's/"text_cfg": *{/&"tokenizer_kwargs": {"clean": "canonicalize"}, /' $M/open_clip_config.json \
            >"$T/rules/open_clip_config.json" &&
        run 0 tokenize -m "$T/rules" 'A_cat! <end_of_text>' --json &&
        grep -q '"ids":\[49406,320,2368,806,539,4160,49407,0' "$T/out" && cp "$T/out" "$T/rules.json" &&
        run 0 convert "$T/rules" "$T/rules.clipc" --to clipc &&
        run 0 tokenize -m "$T/rules.clipc" 'A_cat! <end_of_text>' --json && cmp -s "$T/out" "$T/rules.json"
}
long_texts() {
    long=$(printf 'cat %.0s' $(seq 100))
    run 3 embed -m $M -T "$long" --strict && one_line && grep -q 'text "cat cat.*102 tokens' "$T/err" &&
        run 1 tokenize "$long" 'a cat' --strict && one_line && grep -q '102 tokens' "$T/err" &&
        run 3 classify $M/photo.jpg -m $M -l "$long" --strict && one_line &&
        run 0 similarity $M/photo.jpg -m $M -T "$long" && cp "$T/out" "$T/short" &&
        run 0 similarity $M/photo.jpg -m $M -T "$long" --long mean && ! cmp -s "$T/out" "$T/short" &&
        run 0 embed -m $M -T "$long" --long max && run 2 embed -m $M -T x --long most && one_line
}
smuggled() { # a special string is one only where the reference is asked for
    printf '{"id":1,"text":"a <end_of_text> b"}\n' >"$T/special.jsonl"
    run 0 embed -m $M --texts-jsonl "$T/special.jsonl" && sed 's/.*embedding/x/' "$T/out" >"$T/reference" &&
        run 0 embed -m $M -T 'a' && sed 's/.*embedding/x/' "$T/out" | cmp -s - "$T/reference" &&
        run 0 embed -m $M -T 'a <end_of_text> b' --compat && sed 's/.*embedding/x/' "$T/out" | cmp -s - "$T/reference" &&
        run 0 embed -m $M -T 'a <end_of_text> b' && ! sed 's/.*embedding/x/' "$T/out" | cmp -s - "$T/reference" &&
        run 0 similarity $M/photo.jpg -m $M --texts-jsonl "$T/special.jsonl" -T a --json &&
        grep -q '"logits_per_image":\[\[\([-0-9.e]*\),\1\]\]' "$T/out"
}
infos() { run 0 info $M && grep -q 'vit: 224 px' "$T/out" && run 0 info $M --json && grep -q '"embed_dim":16' "$T/out"; }
doctors() { # sound, suspicious, broken: the exit status; text and JSON; nothing run on demand
    run 0 doctor $M && [ "$(tail -n 1 "$T/out")" = 'sound; problems: 0, warnings: 0, notes: 2' ] &&
        grep -q '^ok *speed .* pictures a second' "$T/out" && grep -q '^note *pictures ' "$T/out" || return 1
    run 0 doctor -m $M --json --threads 1 && grep -q '^{"findings":\[{"check":"opening","severity":"ok","message":' "$T/out" &&
        grep -q '"verdict":"sound","problems":0,"warnings":0,"notes":2,"images_per_second":\[[0-9.e+]*,' "$T/out" &&
        run 1 doctor tests/golden/models/hf_vit_old --files-only &&
        grep -q '^WARNING *preprocessing .*none that is known' "$T/out" && ! grep -q speed "$T/out" &&
        grep -q '^suspicious; problems: 0, warnings: 1' "$T/out" &&
        run 3 doctor no-such-model --json && grep -q '"severity":"problem".*"images_per_second":null' "$T/out" &&
        run 2 doctor $M $M && one_line && run 2 doctor --threads 0 && one_line
}
benches() { # every tower, precision and batch that there is, as text and as JSON
    run 0 bench $M --threads 1 && grep -q '^image  f32 *1 *1 ' "$T/out" && grep -q '^text  *f32 *1 *32 ' "$T/out" &&
        grep -q '^text: one at a time .* --precision' "$T/out" && run 0 bench $M --threads 2 --json &&
        [ $(($(grep -c '^{"tower":"image","precision":.*"peak_share":' "$T/out") % 6)) = 0 ] &&
        grep -q '"threads":2,"batch":8,"seconds":[0-9.e-]*,"per_second":[0-9.e+]*,' "$T/out" &&
        run 2 bench a b && one_line && run 3 bench no-such-model && one_line
}
golden_crop() { # golden_crop FOLDER NAME RECIPE: its crop of 16 x 16
    at=$(sed -n "s/^$2 16 16 $3 bicubic 0 //p" "tests/golden/$1/index.txt")
    tail -c +$((at + 1)) "tests/golden/$1/crops.bin" | head -c 768
}
auto_orient() {
    O=tests/golden/oriented
    for name in exif_6_II.jpg exif_5.png exif_8.webp; do
        golden_crop oriented $name hf >"$T/want"
        run 0 preprocess $O/$name --recipe hf --size 16 --auto-orient -f -o "$T/o.npy" || return 1
        tail -c 768 "$T/o.npy" | cmp -s - "$T/want" || return 1
        run 0 preprocess $O/$name --recipe hf --size 16 -f -o "$T/o.npy" || return 1
        tail -c 768 "$T/o.npy" | cmp -s - "$T/want" && return 1
    done
    run 0 embed $O/exif_6_II.jpg -m $M && cp "$T/out" "$T/want" &&
        run 0 embed $O/exif_6_II.jpg -m $M --auto-orient && ! cmp -s "$T/out" "$T/want"
}
fast() { # JPEGs as Pillow makes them small; a smaller limit still counts; other formats as ever
    F=tests/golden/fast
    for name in 420.jpg exif_6.jpg; do
        golden_crop fast $name shortest >"$T/want"
        run 0 preprocess $F/$name --recipe openai --size 16 --auto-orient --fast -f -o "$T/o.npy" || return 1
        tail -c 768 "$T/o.npy" | cmp -s - "$T/want" || return 1
        run 0 preprocess $F/$name --recipe openai --size 16 --auto-orient -f -o "$T/o.npy" || return 1
        tail -c 768 "$T/o.npy" | cmp -s - "$T/want" && return 1
    done
    run 3 preprocess $F/420.jpg --recipe openai --fast --max-megapixels 0.01 -f -o "$T/o.npy" && one_line || return 1
    run 0 embed $F/420.jpg -m $M --image-size 32 && cp "$T/out" "$T/want" &&
        run 0 embed $F/420.jpg -m $M --image-size 32 --fast && ! cmp -s "$T/out" "$T/want" &&
        run 0 embed $M/drawing.png -m $M --image-size 32 && cp "$T/out" "$T/want" &&
        run 0 embed $M/drawing.png -m $M --image-size 32 --fast && cmp -s "$T/out" "$T/want"
}
formats_in_folder() { # in order of name; what needs a library that is not there says so
    mkdir "$T/all" && cp tests/golden/modern/RGB_37x29.* tests/golden/modern/RGB_lossy.jxl \
        tests/golden/modes/tiff_grey12.tif tests/golden/formats/1.bmp tests/golden/formats/ramp.gif \
        tests/golden/formats/1.pnm tests/golden/raw/one.nef tests/golden/raw/no_preview.dng "$T/all" && cp tests/golden/formats/rgb_3.ppm "$T/all/Z.PPM" &&
        echo text >"$T/all/notes.txt"
    "$CLIPC" preprocess "$T/all" --recipe hf -o "$T/all.npy" 2>"$T/err"
    sed 's/.*all\/\(.*\)","row.*/\1/' "$T/all.npy.jsonl" >"$T/rows"
    for name in 1.bmp 1.pnm RGB_37x29.avif RGB_37x29.heic RGB_lossy.jxl Z.PPM one.nef ramp.gif tiff_grey12.tif; do
        grep -q "$name.* lib" "$T/err" || echo $name
    done | cmp -s - "$T/rows" && grep -q 'no_preview.dng: .*\(preview$\|libraw\)' "$T/err"
}
huge_claims() {
    for claim in tests/golden/claims/*; do
        run 3 preprocess "$claim" --recipe openai -o "$T/huge.npy" && one_line &&
            grep -q "$claim" "$T/err" || return 1
    done
}
preprocesses() {
    run 0 preprocess $M/photo.jpg -m $M -o "$T/seen.png" && head -c 4 "$T/seen.png" | grep -q PNG &&
        run 3 preprocess $M/photo.jpg -m $M -o "$T/seen.png" && one_line &&
        run 0 preprocess $M/photo.jpg -m $M -o "$T/SEEN.PNG" && cmp -s "$T/seen.png" "$T/SEEN.PNG" &&
        run 2 preprocess $M/photo.jpg -m $M -o "$T/seen.jpg" && one_line && [ ! -e "$T/seen.jpg" ] &&
        run 0 preprocess $M/photo.jpg -m $M -o "$T/seen.jpg" --format npy && head -c 6 "$T/seen.jpg" | grep -q NUMPY
}
recipes() { # crops without a model: a picture that fails takes no row
    local F=tests/golden/formats
    run 1 preprocess $F/palette.gif $F/crops.bin $F/rgba.bmp --recipe hf --size 32 -o "$T/c.npy" &&
        one_line && [ "$(wc -c <"$T/c.npy")" = $((128 + 2 * 32 * 32 * 3)) ] &&
        [ "$(tail -n 1 "$T/c.npy.jsonl")" = '{"image":"'$F'/rgba.bmp","row":1}' ] || return 1
    run 3 preprocess $F/rgba.bmp --recipe hf -o "$T/c.npy" && one_line && grep -q exists "$T/err" &&
        run 3 preprocess $F/rgba.bmp --recipe no-such -o "$T/d.npy" && one_line &&
        run 2 preprocess $F/rgba.bmp --size 32 -o "$T/d.npy" && one_line &&
        run 2 preprocess $F/rgba.bmp $F/1.bmp --recipe hf -o "$T/d.png" && one_line &&
        run 0 preprocess $F/rgba.bmp $F/1.bmp --recipe squash --size 20x30 --interpolation bilinear \
            -o "$T/d.npy" && [ "$(wc -c <"$T/d.npy")" = $((128 + 2 * 20 * 30 * 3)) ]
}
crops_as_hf() { # a model of Hugging Face's sees pictures as its processor does, also as clipc's own
    local F=tests/golden/formats H=tests/golden/models/hf_vit
    run 0 preprocess $F/palette.gif $F/rgba.bmp --recipe hf --size 32 -o "$T/hf.npy" &&
        run 0 preprocess $F/palette.gif $F/rgba.bmp --recipe openai --size 32 -o "$T/openai.npy" &&
        ! cmp -s "$T/hf.npy" "$T/openai.npy" &&
        run 0 preprocess $F/palette.gif $F/rgba.bmp -m $H -o "$T/m.npy" && cmp -s "$T/m.npy" "$T/hf.npy" &&
        run 0 convert $H "$T/h.clipc" --to clipc &&
        run 0 preprocess $F/palette.gif $F/rgba.bmp -m "$T/h.clipc" -o "$T/m.npy" -f && cmp -s "$T/m.npy" "$T/hf.npy" &&
        run 0 convert $H "$T/h.open_clip" &&
        run 0 preprocess $F/palette.gif $F/rgba.bmp -m "$T/h.open_clip" -o "$T/m.npy" -f &&
        cmp -s "$T/m.npy" "$T/openai.npy" || return 1
    cp -r $H "$T/odd" && chmod -R u+w "$T/odd"
    for wrong in '"size": {"shortest_edge": 256}' '"size": 40' '"do_center_crop": false' '"do_rescale": false'; do
        echo "{$wrong}" >"$T/odd/preprocessor_config.json"
        run 3 info "$T/odd" && one_line && grep -q 'preprocessor_config.json: ' "$T/err" || return 1
    done
}
evals() {
    cp $M/*.jpg $M/*.png "$T/"
    printf 'photo.jpg\t3\ndrawing.png\t0\nno.png\t0\n' >"$T/samples.tsv"
    printf '{"name":"t","task":"zeroshot","templates":["a photo of {}."],"samples":"samples.tsv","classes":["a cat","two dogs","Café at night","the number 42","a red ball & a cone","waves"]}' >"$T/spec.json"
    run 0 eval "$T/spec.json" -m $M --json &&
        grep -q '"pictures":3,"classes":6,"failed":1,"top1":0.333333,"top5":0.666667.*,"failures":\["[^"]*/no.png: [^"]*"\]}$' "$T/out" &&
        one_line && grep -q '^clipc: .*/no.png: ' "$T/err" &&
        echo '{}' >"$T/spec.json" && run 3 eval "$T/spec.json" -m $M && one_line
}
shard() { # shard FILE: three pictures in two folders, labelled; the third has no rival in its folder
    mkdir -p "$T/s/a" "$T/s/b" && cp $M/photo.jpg $M/drawing.png "$T/s/a/" && cp $M/picture.webp "$T/s/b/" &&
        echo 'a photo of the number 42.' >"$T/s/a/photo.txt" &&
        printf 'a photo of a cat.' | tee "$T/s/a/drawing.txt" >"$T/s/b/picture.txt" || return 1
    (cd "$T/s" && tar -cz a/photo.jpg a/photo.txt a/drawing.png a/drawing.txt b/picture.webp b/picture.txt) >"$1"
}
shards() { # the set beside the model is the one that eval and quantize take by themselves
    cp -r $M "$T/own" && shard "$T/own/eval.tar.gz" && run 0 eval -m "$T/own" --json &&
        grep -q '"name":"own/eval","task":"zeroshot","pictures":3,"classes":3,"failed":0,"top1":0.666667,"top5":1.0' "$T/out" &&
        run 0 eval "$T/own/eval.tar.gz" -m $M && grep -q 'own/eval .* 66.67 %' "$T/out" &&
        run 0 quantize "$T/own" "$T/own8.clipc" --json --threads 1 &&
        grep -q '"accuracy":{"set":"own/eval","pictures":3,"top1":\[0.666667,0.666667\],"same":3,"lost":0,"gained":0}' "$T/out" &&
        run 0 quantize "$T/own" "$T/own8.clipc" --force --threads 1 &&
        grep -q '3 pictures of own/eval: top-1 66.67 % before, 66.67 % after' "$T/out" &&
        grep -q '+0.00 points: 0 lost, 0 gained; the same answer for 100.0 %' "$T/out" || return 1
    (cd "$T/s" && tar -c a/photo.jpg a/photo.txt b/picture.webp) >"$T/bare.tar"
    run 3 eval "$T/bare.tar" -m $M && one_line && grep -q 'b/picture: wanted a picture and a .txt' "$T/err" &&
        (cd "$T/s" && cp a/photo.txt a/photo.png && tar -c a/photo.png a/photo.txt) >"$T/bad.tar" &&
        run 3 eval "$T/bad.tar" -m $M && one_line
}
no_shards() { # what keeps quantize from measuring the accuracy is said; the rest is done
    mkdir -p "$T/none/clipc-drawings" && export CLIPC_MODEL_PATH="$T/none" &&
        run 0 quantize $M "$T/n8.clipc" --threads 1 && grep -q '^accuracy: not measured: .*no eval.tar.gz in it' "$T/out" &&
        run 3 eval -m $M && one_line && run 0 quantize $M "$T/n8.clipc" --json --force --threads 1 &&
        grep -q '"accuracy":null,"accuracy_not_measured":".*no eval.tar.gz in it"}' "$T/out"
    no=$?
    unset CLIPC_MODEL_PATH
    return $no
}
bundled_int8() { # the model that ships, in bytes, on its set: bounds are twice what is measured
    CLIPC_MODEL_PATH=models run 0 quantize clipc-drawings "$T/d8.clipc" --json --threads 1 &&
        grep -q '"set":"clipc-drawings/eval","pictures":1000,' "$T/out" || return 1
    # "top1":[0.310000,0.302000],"same":963,"lost":10,"gained":2
    tr -cs '0-9.' ' ' <"$T/out" | awk '{
        lost = $(NF - 1); gained = $NF; same = $(NF - 2); before = $(NF - 4); after = $(NF - 3)
        moved = 1000 * (after - before) - (gained - lost)
        exit !(before > 0.3 && after > before - 0.016 && same > 926 && moved * moved < 0.01)
    }'
}

train() { # train OUT MORE...
    out=$1
    shift
    "$CLIPC" train --data "$T/pairs" --out "$out" --set "$TINY" --batch-size 4 --steps 6 \
        --warmup 2 --threads 1 --set save_every=3 "$@" >"$T/out" 2>"$T/err"
}
trains() {
    pairs && train "$T/run" && [ "$(grep -c '"loss":[0-9]' "$T/run/log.jsonl")" = 6 ] &&
        run 0 classify $M/photo.jpg -m "$T/run" -l 'a,b' || return 1
    train "$T/run" && return 1
    one_line && grep -q -e '--resume' "$T/err"
}
finished() { # nothing is left to do, and nothing is done
    train "$T/all" --ema .5 && cp "$T/all/open_clip_model.safetensors" "$T/all.whole" && ls "$T/all/checkpoints" >"$T/all.list" &&
        run 0 train --out "$T/all" --resume && cmp -s "$T/all/open_clip_model.safetensors" "$T/all.whole" &&
        ls "$T/all/checkpoints" | cmp -s - "$T/all.list"
}
piped() { # a pipe that is named as a picture is none: nobody waits for it
    cp -r "$T/pairs" "$T/piped" && mkfifo "$T/piped/pipe.png" && timeout 60 "$CLIPC" data stats "$T/piped" >"$T/out" 2>"$T/err"
}
resumes() {
    train "$T/whole" || return 1
    # Killed while it runs, wherever that is; then continued to the end.
    train "$T/cut" --set keep=9 &
    pid=$!
    wait_for [ -e "$T/cut/checkpoints/step-0000000003.safetensors" ]
    pkill -KILL -P $pid 2>/dev/null
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    rm -f "$T"/cut/checkpoints/step-0000000006.safetensors
    run 0 train --out "$T/cut" --resume &&
        cmp -s "$T/cut/open_clip_model.safetensors" "$T/whole/open_clip_model.safetensors"
}
RN=$(echo "$TINY" | sed 's/"layers":1,"width":32,"patch_size":8/"layers":[1,1,1,1],"width":4/')
resnet() { # trained, loaded, saved again, continued from a checkpoint; no place in HF's layout
    train "$T/rn" --set "$RN" --set keep=9 &&
        run 0 info "$T/rn" && grep -q 'stages 1-1-1-1' "$T/out" &&
        run 0 classify $M/photo.jpg -m "$T/rn" -l 'a,b' &&
        run 0 convert "$T/rn" "$T/rn2" --to open_clip -p f32 &&
        run 3 convert "$T/rn" "$T/rn3" --to hf && one_line && grep -q resnet "$T/err" || return 1
    mv "$T/rn/open_clip_model.safetensors" "$T/rn.whole"
    rm "$T/rn/checkpoints/step-0000000006.safetensors"
    run 0 train --out "$T/rn" --resume && cmp -s "$T/rn/open_clip_model.safetensors" "$T/rn.whole"
}
train_errors() {
    run 2 train --data "$T/pairs" --out "$T/x" --resume --force && grep -q 'goes on with a run' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/x" --set 'augment={' && one_line && grep -q 'wanted an object' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/x" --epochs 0 && one_line && grep -q 'epochs' "$T/err" || return 1
    run 2 train --data x && run 3 train --data no-such --out "$T/x" && one_line &&
        run 3 train --data "$T/pairs" --out "$T/x" --set no_such=1 && one_line &&
        grep -q 'no_such' "$T/err" && run 3 train --data "$T/pairs" --out "$T/x" --lr nan && one_line &&
        printf '0\n99\n' >"$T/order" && run 3 train --data "$T/pairs" --out "$T/x" --set order="$T/order" &&
        one_line && grep -q 'order: line 2 is 99' "$T/err"
}
train_memory() { # said before anything is made; what does not fit is refused, by one line
    run 0 train --data "$T/pairs" --out "$T/dry" --set "$TINY" --batch-size 4 --set chunk=3 --dry-run &&
        grep -q '^[0-9]* MiB of memory: weights .*; 3 of 4 pairs at a time$' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/dry" --set "$TINY" --batch-size 4 --max-memory 1M &&
        one_line && grep -q 'max_memory is 1 MiB' "$T/err" &&
        run 3 train --data "$T/pairs" --out "$T/dry" --max-memory 4X && one_line && [ ! -e "$T/dry" ]
}

example() { # the C program in examples/, which the build made beside the command
    exe=$(dirname "$CLIPC")/example_zero_shot
    [ -x "$exe" ] || { echo "skip the example (not built in this variant)"; return; }
    "$exe" $M $M/photo.jpg 'a photo of a cat.' 'a photo of the number 42.' >"$T/out" 2>"$T/err" &&
        grep -q '%  a photo of the number 42' "$T/out"
    say 'the C example' $?
}
converts() {
    run 0 convert $M "$T/hf" --to hf -p f16 && [ -s "$T/hf/merges.txt" ] && [ -s "$T/hf/vocab.json" ] &&
        run 3 convert $M "$T/hf" --to hf && one_line &&
        run 0 classify $M/photo.jpg -m "$T/hf" -l "$LABELS" -T 'a photo of {}.' --top 1 --json &&
        grep -q '"label":"the number 42","score":0.80534' "$T/out"
}

example
expect 'convert' converts
own_format() { # one file; smaller ones; what is wrong with it is said
    run 0 convert $M "$T/e.clipc" --to clipc --license MIT && run 0 info "$T/e.clipc" &&
        grep -q 'licence *MIT' "$T/out" && run 3 convert $M "$T/e.clipc" --to clipc && one_line &&
        run 0 similarity $M/photo.jpg -T waves -m "$T/e.clipc" --json && cp "$T/out" "$T/one" &&
        run 0 similarity $M/photo.jpg -T waves -m $M --json && cmp -s "$T/out" "$T/one" &&
        run 0 convert "$T/e.clipc" "$T/back" && run 0 similarity $M/photo.jpg -T waves -m "$T/back" --json &&
        cmp -s "$T/out" "$T/one" && run 0 quantize "$T/e.clipc" "$T/q.clipc" --json --no-eval &&
        grep -q '"rank_agreement":' "$T/out" && run 0 info "$T/q.clipc" && grep -q 'int8' "$T/out" || return 1
    head -c 100000 "$T/e.clipc" >"$T/cut.clipc"
    run 3 info "$T/cut.clipc" && one_line &&
        sed 's/"clipc.version":"2"/"clipc.version":"9"/' "$T/e.clipc" >"$T/v9.clipc" &&
        run 3 info "$T/v9.clipc" && one_line && grep -q 'version 9' "$T/err"
}
expect 'the own format' own_format
same_tokens() { # same_tokens MODEL TEXT: as in $T/tokens
    run 0 tokenize "$2" -m "$1" --json && cmp -s "$T/out" "$T/tokens"
}
all_layouts() { # all_layouts FROM TEXT LAYOUT...: the same tokens in each, and from there in clipc's
    from=$1 text=$2
    shift 2
    run 0 tokenize "$text" -m "$from" --json && cp "$T/out" "$T/tokens" || return 1
    for to; do
        run 0 convert "$from" "$T/t.$to" --to "$to" -f && same_tokens "$T/t.$to" "$text" &&
            run 0 convert "$T/t.$to" "$T/t2" --to clipc -f && same_tokens "$T/t2" "$text" || return 1
    done
}
keeps_bpe() { # a vocabulary of the model's own goes along, byte for byte; not OpenAI's
    cp -r tests/golden/models/hf_vit "$T/bpe" && chmod -R u+w "$T/bpe"
    echo '{"a</w>":3,"c":4,"at</w>":5,"cat</w>":6,"<|startoftext|>":198,"<|endoftext|>":199}' >"$T/bpe/vocab.json"
    printf '#version: 0.2\na t</w>\nc at</w>\n' >"$T/bpe/merges.txt"
    all_layouts "$T/bpe" 'cat a' clipc hf open_clip && grep -q '"ids":\[198,6,3,199,' "$T/tokens" &&
        run 0 convert "$T/t.clipc" "$T/bpe2" --to hf && cmp -s "$T/bpe/vocab.json" "$T/bpe2/vocab.json" &&
        cmp -s "$T/bpe/merges.txt" "$T/bpe2/merges.txt" || return 1
    sed 's/c at<.w>/c xt<\/w>/' "$T/t.clipc" >"$T/bad.clipc"
    run 3 info "$T/bad.clipc" && one_line && grep -q 'merges.txt: line 3' "$T/err" || return 1
    sed 's/\(vocab.json":{"dtype":"\)U8/\1I8/' "$T/t.clipc" >"$T/bad.clipc"
    run 3 info "$T/bad.clipc" && one_line && grep -q 'tokenizer/vocab.json is no list' "$T/err" || return 1
    run 0 convert $M "$T/e2.clipc" --to clipc && ! grep -q 'tokenizer/' "$T/e2.clipc" &&
        run 0 convert $M "$T/t.open_clip" -f && [ ! -e "$T/t.open_clip/vocab.json" ]
}
keeps_wordpiece() { # the words and how texts are cleaned; the words of ids are shown
    cp -r tests/golden/variants/bert_pooler "$T/wp" && chmod -R u+w "$T/wp"
    printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\nCat\n##s\n' >"$T/wp/vocab.txt"
    echo '{"do_lower_case": false}' >"$T/wp/tokenizer_config.json"
    all_layouts "$T/wp" 'Cats cat' clipc open_clip && grep -q '"ids":\[2,4,5,1,3,0' "$T/tokens" &&
        run 0 quantize "$T/wp" "$T/wp8.clipc" --json --no-eval && grep -q '"images":64,.*"texts":64' "$T/out" &&
        run 0 tokenize 'Cats' -m "$T/t.clipc" && grep -q '^ *5  ##s$' "$T/out" &&
        run 0 info "$T/t.clipc" && grep -q 'tokenizer *wordpiece' "$T/out"
}
keeps_sentencepiece() { # spiece.model, and what Hugging Face's class does around it
    cp -r tests/golden/variants/hf_siglip "$T/sp" && chmod -R u+w "$T/sp"
    { # <unk>, </s>, U+2581, c, a, t, U+2581 cat
        printf '\n\t\n\005<unk>\030\002\n\010\n\004</s>\030\003\n\005\n\003\342\226\201'
        printf '\n\003\n\001c\n\003\n\001a\n\003\n\001t\n\010\n\006\342\226\201cat'
    } >"$T/sp/spiece.model"
    all_layouts "$T/sp" 'CAT, act x' clipc hf && grep -q '"ids":\[6,2,4,3,5,2,0,1,1\]' "$T/tokens" &&
        cmp -s "$T/sp/spiece.model" "$T/t.hf/spiece.model" &&
        run 0 tokenize CAT -m "$T/t.clipc" && grep -q '^ *6  .*cat$' "$T/out" &&
        run 0 info "$T/t.clipc" && grep -q 'tokenizer *sentencepiece' "$T/out"
}
keeps_tokenizer_json() { # tokenizer.json, and what open_clip does around it; what is not needed is left
    cp -r tests/golden/variants/siglip "$T/tj" && chmod -R u+w "$T/tj"
    sed -i 's/"hf_tokenizer_name"/"tokenizer_kwargs": {"clean": "canonicalize", "strip_sep_token": true}, &/' \
        "$T/tj/open_clip_config.json"
    echo '{"model": {"type": "WordPiece", "vocab": {"[PAD]": 0, "[UNK]": 1, "cat": 2, "[SEP]": 3}},
        "pre_tokenizer": {"type": "Whitespace"}, "added_tokens": [{"id": 3, "content": "[SEP]", "special": true}],
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}},
            {"SpecialToken": {"id": "[SEP]"}}], "special_tokens": {"[SEP]": {"ids": [3]}}}}' >"$T/tj/tokenizer.json"
    echo '{"tokenizer_class": "X", "pad_token": "[PAD]", "sep_token": "[SEP]"}' >"$T/tj/tokenizer_config.json"
    echo 'not a model' >"$T/tj/spiece.model"
    all_layouts "$T/tj" 'Cat, DOG' clipc open_clip && grep -q '"ids":\[2,1,0,0,' "$T/tokens" &&
        ! grep -q 'tokenizer/spiece' "$T/t.clipc" && run 3 convert "$T/tj" "$T/t.hf" --to hf -f && one_line &&
        run 0 tokenize cat -m "$T/t.clipc" && grep -q '^ *2  cat$' "$T/out"
}
one_tower() { # a text tower alone: in clipc's format, nowhere else
    V=tests/golden/variants
    printf '{"id":1,"ids":[48,3,49]}\n' >"$T/ids"
    run 0 convert $V/m_clip "$T/text.clipc" --to clipc && run 0 info "$T/text.clipc" &&
        grep -q 'image tower *none' "$T/out" && run 0 quantize $V/m_clip "$T/text8.clipc" --json &&
        grep -q '"images":0' "$T/out" && run 0 embed -m "$T/text.clipc" --texts-jsonl "$T/ids" && cp "$T/out" "$T/want" &&
        run 0 embed -m $V/m_clip --texts-jsonl "$T/ids" && cmp -s "$T/out" "$T/want" &&
        run 3 embed -m "$T/text.clipc" $M/photo.jpg && grep -q 'no image tower' "$T/err" &&
        run 3 convert $V/m_clip "$T/text" && one_line && grep -q 'one tower' "$T/err" && [ ! -e "$T/text" ]
}
half_written() { # a full disk leaves no part of a model
    mkdir "$T/full" "$T/full/folder"
    (trap '' XFSZ && ulimit -f 8 && run 3 convert $M "$T/full/x.clipc" --to clipc) && one_line &&
        (trap '' XFSZ && ulimit -f 8 && run 3 convert $M "$T/full/folder" -f) && one_line &&
        [ -z "$(find "$T/full" -type f)" ]
}
expect 'convert: byte pairs of its own' keeps_bpe
expect 'convert: WordPiece' keeps_wordpiece
expect 'convert: SentencePiece' keeps_sentencepiece
expect 'convert: tokenizer.json' keeps_tokenizer_json
expect 'convert: one tower' one_tower
expect 'convert: a full disk' half_written
any_file() { # OpenAI's .pt and GGUF by content; crops and rows of ids; a model of one tower
    V=tests/golden/variants
    run 0 info $V/openai_pt/model.pt && grep -q 'from the shapes' "$T/out" &&
        run 0 info $V/gguf_q8_0/model.gguf && grep -q 'gguf' "$T/out" &&
        run 0 convert $V/gguf_q8_0/model.gguf "$T/g" && run 0 info "$T/g" || return 1
    printf '{"id":"a","ids":[48,3,49,0,0,0,0,0,0]}\n{"id":7,"ids":[48,3]}\n' >"$T/ids"
    run 1 embed -m $V/openai_pt/model.pt --texts-jsonl "$T/ids" --no-normalize -o "$T/i.npy" && one_line &&
        [ "$(cat "$T/i.npy.jsonl")" = '{"id":"a","row":0}' ] &&
        run 3 embed -m $V/xlm_roberta -T hello && grep -q 'ids' "$T/err" &&
        rm "$T/i.npy" && run 3 embed -m $V/openai_pt/model.pt --texts-jsonl "$T/ids" -o "$T/i.npy" &&
        one_line && grep -q 'i.npy.jsonl: exists' "$T/err" &&
        run 3 embed -m $V/openai_pt/model.pt --texts-jsonl /dev/null && one_line &&
        run 2 embed -m $V/openai_pt/model.pt && run 3 embed --pixels README.md && one_line
}
expect 'files of any kind' any_file
png_size() { od -An -tu1 -j16 -N8 "$1" | tr -s ' '; } # two big-endian numbers: columns, rows
image_sizes() { # positions interpolated on loading and on request, for good by convert; rectangles
    V=tests/golden/variants
    run 0 info $V/grid_larger && grep -q 'images interpolated from 4x4 to 7x7' "$T/out" &&
        grep -q 'texts interpolated from 9 to 13' "$T/out" &&
        run 0 info $V/grid_larger --image-size 20x12 && grep -q 'vit: 20x12 px' "$T/out" &&
        grep -q 'from 4x4 to 5x3' "$T/out" && run 0 info $V/grid_larger --json &&
        grep -q '"image_size":28,"image_columns":28,"stored_grid":\[4,4\],"stored_context":9' "$T/out" &&
        run 0 preprocess $M/photo.jpg -m $M --image-size 112x64 -o "$T/wide.png" &&
        [ "$(png_size "$T/wide.png")" = ' 0 0 0 64 0 0 0 112' ] &&
        run 0 classify $M/photo.jpg -m $M -l 'a,b' --image-size 96 || return 1
    run 0 similarity $M/photo.jpg -T waves -m $M --image-size 96 --json && cp "$T/out" "$T/at96" &&
        run 0 convert $M "$T/e96" --image-size 96 && run 0 info "$T/e96" &&
        grep -q 'vit: 96 px' "$T/out" && ! grep -q interpolated "$T/out" &&
        run 0 similarity $M/photo.jpg -T waves -m "$T/e96" --json && cmp -s "$T/out" "$T/at96" &&
        run 0 convert $M "$T/s.clipc" --to clipc &&
        run 0 similarity $M/photo.jpg -T waves -m "$T/s.clipc" --image-size 96 --json &&
        cmp -s "$T/out" "$T/at96" && run 0 quantize $M "$T/s8.clipc" --image-size 96 --no-eval &&
        run 3 convert $V/rectangle "$T/r" --to hf && one_line || return 1
    run 0 embed -T 'a' -m $M -o "$T/a.npy" && run 3 embed --pixels "$T/a.npy" -m $V/rectangle &&
        one_line && grep -q 'wanted \[n,20,12,3\]' "$T/err" &&
        run 3 info tests/golden/models/oc_rn --image-size 96 && one_line &&
        grep -q 'a ResNet' "$T/err" && run 3 info $M --image-size 16 && one_line || return 1
    for bad in 0 x 5x 5x0 5x5x5 -3 99999999; do run 2 info $M --image-size "$bad" && one_line || return 1; done
}
expect 'other image sizes' image_sizes
stored_preprocessing() { # squash and longest, kept by convert
    mkdir "$T/squash"
    sed 's/"preprocess_cfg": {[^}]*}/"preprocess_cfg": {"resize_mode": "squash"}/' \
        tests/golden/variants/rectangle/open_clip_config.json >"$T/squash/open_clip_config.json"
    cp tests/golden/variants/rectangle/open_clip_model.safetensors "$T/squash/"
    run 0 info "$T/squash" && grep -q '^pixels *squash' "$T/out" && run 0 convert "$T/squash" "$T/squash2" &&
        run 0 info "$T/squash2" && grep -q '^pixels *squash' "$T/out" && grep -q '20x12 px' "$T/out" || return 1
    sed 's/"squash"/"longest", "fill_color": 300/' "$T/squash/open_clip_config.json" >"$T/pre.json"
    cp "$T/pre.json" "$T/squash/open_clip_config.json"
    run 3 info "$T/squash" && one_line && grep -q 'fill_color 300' "$T/err"
}
expect 'preprocessing as stored' stored_preprocessing
expect 'classify: the scores of the golden' classify_golden
expect 'classify: a folder' classify_folder
expect 'a folder whose links go in circles' circle
expect 'classify: standard input' classify_stdin
expect 'classify: some pictures fail' classify_some
expect 'classify: every picture fails' classify_none
expect 'classify: a truncated picture' classify_corrupt
expect 'classify: a limit on megapixels' classify_limit
expect 'classify: labels from a file' classify_labels
expect 'usage errors' usage_errors
expect 'help and version' helps
for isa in ref avx2 avx512 avx512vnni; do
    if CLIPC_ISA=$isa "$CLIPC" info $M 2>&1 | grep -q 'CPU can run'; then echo "skip classify: $isa (not of this CPU)"
    else expect "classify: the scores of the golden on $isa" on_level $isa; fi
done
expect 'an unknown instruction set' bad_isa
expect 'damaged models' bad_models
expect 'embed' embeds
expect 'embed: text that is no UTF-8' not_utf8
expect 'similarity' similarities
expect 'tokenize' tokens
expect 'tokenize: OpenAI without a model' tokens_openai
expect 'tokenize: JSON lines' tokens_jsonl
expect 'tokenize: the rules of open_clip' tokens_rules
expect 'texts that do not fit' long_texts
expect 'special strings' smuggled
expect 'info' infos
expect 'bench' benches
expect 'doctor' doctors
expect 'preprocess' preprocesses
expect 'preprocess: recipes' recipes
expect 'preprocess: --auto-orient' auto_orient
expect 'fast decoding' fast
expect 'preprocess: folders of every format' formats_in_folder
expect 'preprocess: huge claims' huge_claims
expect 'preprocess: as Hugging Face' crops_as_hf
expect 'eval' evals
expect 'eval and quantize: a shard' shards
expect 'quantize: no shard' no_shards
if [ "${CLIPC_ISA:-}" = ref ]; then echo 'skip quantize: the bundled model (minutes with plain loops)'
else expect 'quantize: the bundled model' bundled_int8; fi
expect 'train: a folder of pairs' trains
expect 'train: killed and resumed, the same bits' resumes
expect 'train: a finished run resumed' finished
expect 'a pipe among the pictures' piped
expect 'a ResNet: trained, saved, resumed' resnet
EN=$(echo "$TINY" | sed 's/"layers":1,"width":32,"patch_size":8,"head_width":16/"timm_model_name":"tf_efficientnet_lite0","timm_proj":"linear"/')
effnet() { # the package's file; a tower by its name: trained, loaded, saved, resumed to the bit
    E=tests/golden/models/effnet_package/model.pth
    run 0 info $E && grep -q 'efficientnet_lite: 224 px, width 4, stages 1-2-1-2-1-2-1' "$T/out" &&
        run 0 convert $E "$T/en.clipc" --to clipc && run 0 embed $M/photo.jpg -m "$T/en.clipc" &&
        mv "$T/out" "$T/en.out" && run 0 embed $M/photo.jpg -m $E && cmp -s "$T/out" "$T/en.out" &&
        run 3 convert $E "$T/en.oc" && one_line && grep -q 'one tower' "$T/err" || return 1
    train "$T/en" --set "$EN" --set keep=9 &&
        run 0 info "$T/en" && grep -q 'efficientnet_lite: 32 px, width 32, stages 1-2-2-3-3-4-1' "$T/out" &&
        run 0 convert "$T/en" "$T/en2" --to open_clip -p f32 &&
        run 0 classify $M/photo.jpg -m "$T/en2" -l 'a,b' || return 1
    mv "$T/en/open_clip_model.safetensors" "$T/en.whole"
    rm "$T/en/checkpoints/step-0000000006.safetensors"
    run 0 train --out "$T/en" --resume && cmp -s "$T/en/open_clip_model.safetensors" "$T/en.whole"
}
expect 'an EfficientNet-Lite: from its package, trained, saved, resumed' effnet
expect 'train: errors' train_errors
expect 'train: memory said, and limited' train_memory
. tests/cli/eval.sh
. tests/cli/vocab.sh
. tests/cli/init.sh
. tests/cli/assemble.sh
. tests/cli/objectives.sh
. tests/cli/distill.sh
. tests/cli/data.sh
. tests/cli/dictionary.sh
. tests/cli/resume.sh
sh tests/cli/kill_resume.sh || status=1
sh tests/cli/faults.sh || status=1
sh tests/cli/html.sh || status=1
sh tests/cli/outputs.sh || status=1
sh tests/cli/index.sh || status=1
sh tests/cli/videos.sh || status=1
sh tests/cli/show.sh || status=1
sh tests/cli/postgres.sh || status=1
sh tests/cli/approximate.sh || status=1
sh tests/hub/run.sh || status=1
exit $status
