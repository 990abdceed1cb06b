#!/bin/sh
# Ratios against peers in one run: the towers, the classifier, start, memory, a folder of
# photographs and training (bench/peers.py, whose arguments may be given here), then the resize
# of a 12-megapixel picture against Pillow, captions through our tokenizer against Hugging Face's,
# and the exact scan of a million vectors against FAISS and usearch.  What it installs and makes
# lies in build/bench-env, build/bench-models and build/bench-scan.
set -eu
. bench/env.sh
make -s build/release-gcc/bench_speed build/release-gcc/bench_resize \
    build/release-gcc/bench_tokens build/release-gcc/bench_scan
status=0
$env/bin/python bench/peers.py "$@" || status=$?
[ $# -eq 0 ] || exit $status
$env/bin/python bench/resize.py build/release-gcc/bench_resize
$env/bin/python bench/tokens.py
$env/bin/python bench/scan.py build/release-gcc/bench_scan
echo "the table of SPEED.md: $env/bin/python bench/table.py"
exit $status
