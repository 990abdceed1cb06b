#!/bin/sh
# Classifies the pictures of this folder with the bundled model.
cd "$(dirname "$0")/.." || exit 1
echo "which of $(wc -l <demo/labels.txt) words fits each picture? (the model has never seen this drawing style)"
exec ./clipc classify demo/*.png --labels-file demo/labels.txt --top 3
