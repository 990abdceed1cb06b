#!/bin/sh
# Losses of training here and in open_clip, step by step (bench/curve.py, whose arguments may be
# given here): exits with 0 if they agree.  Makes build/curve/NAME.json and .svg for each tower.
set -eu
. bench/env.sh
make -s lib
exec $env/bin/python -W ignore bench/curve.py "$@"
