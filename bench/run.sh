#!/bin/sh
# Measures in one run: the FMA peak of one core beside our ViT-B/32 image tower at batch 1,
# a training step of the drawings recipe's model against PyTorch float32, and captions through
# our tokenizer against Hugging Face's.
set -eu
make -s build/release-gcc/bench_speed build/release-gcc/bench_tokens
build/release-gcc/bench_speed
env=build/bench-env
[ -x $env/bin/python ] || { python3 -m venv $env && $env/bin/pip install -q torch open-clip-torch transformers numpy; }
$env/bin/python bench/train_step.py
$env/bin/python bench/tokens.py
