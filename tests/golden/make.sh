#!/bin/sh
# Rewrites all goldens with the packages of requirements.txt, in an environment of its own, and
# checks the round trip with open_clip and transformers.
set -eu
env=build/golden-env
[ -x $env/bin/python ] || { python3 -m venv $env && $env/bin/pip install -q -r tests/golden/requirements.txt; }
for script in make_models make_effnet make_variants make_torch make_gguf make_wordpiece make_spm make_tokens make_vocab_bpe make_csv make_augment make_losses make_distill make_probe make_pixels make_formats make_pictures make_raw make_dated; do
    echo "$script"
    $env/bin/python tests/golden/$script.py
done
sh tests/golden/make_video.sh
make -s clipc lib
$env/bin/python tests/golden/make_curve.py
$env/bin/python tests/golden/check_roundtrip.py
$env/bin/python tests/golden/check_families.py
$env/bin/python tests/golden/check_pixels.py
$env/bin/python tests/golden/check_hub.py
git --no-pager diff --stat -- tests/golden
