#!/bin/sh
# Measures in one run: the FMA peak of one core beside our ViT-B/32 image tower at batch 1,
# a training step of the drawings recipe's model against PyTorch float32, the resize of a
# 12-megapixel picture against Pillow, and captions through our tokenizer against Hugging Face's.
set -eu
make -s build/release-gcc/bench_speed
build/release-gcc/bench_speed
env=build/bench-env
[ -x $env/bin/python ] || { python3 -m venv $env && $env/bin/pip install -q torch open-clip-torch transformers numpy pillow; }
$env/bin/python bench/train_step.py
make -s build/release-gcc/bench_resize build/release-gcc/bench_tokens
$env/bin/python bench/resize.py build/release-gcc/bench_resize
$env/bin/python bench/tokens.py
