#!/bin/sh
# From nothing to shards and evaluation sets: about five minutes on two cores, 3 GB of disk.
# Needs node, npm, apt-get, dpkg, python3 with pillow and numpy.   usage: make.sh [FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-data/drawings}
mkdir -p "$to"
sh "$here/fetch.sh" "$to/work"
[ -f "$to/list.jsonl" ] || { node "$here/list.mjs" "$to/work" >"$to/list.part" && mv "$to/list.part" "$to/list.jsonl"; }
if [ ! -f "$to/rendered" ]; then
    node "$here/render.mjs" "$to/work" "$to/list.jsonl" "$to/r0" 72 0 2 &
    node "$here/render.mjs" "$to/work" "$to/list.jsonl" "$to/r1" 72 1 2
    wait
    touch "$to/rendered"
fi
python3 "$here/make_eval.py" "$to/work" "$to/eval"
python3 "$here/shards.py" 72 24 "$to/work" "$to/list.jsonl" "$to/r0" "$to/r1" "$to/eval" "$to/shards"
echo "now: clipc train --config $here/train.json --data $to/shards --out run/"
