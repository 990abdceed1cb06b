# What the scripts that run the command share; sourced from the project's root.  CLIPC names the
# command, T is a folder of the script's own.  One line a test: "ok NAME", "not ok NAME: WHY",
# "skip NAME (why)"; the script ends with `exit $status`.
set -u
case $CLIPC in /*) ;; *) CLIPC=$PWD/$CLIPC ;; esac
mkdir -p build
T=$(mktemp -d build/cli.XXXXXX)
trap 'chmod -R u+rwx "$T"; rm -rf "$T"' EXIT
M=tests/golden/models/e2e
TINY='model={"embed_dim":16,"vision_cfg":{"image_size":32,"layers":1,"width":32,"patch_size":8,"head_width":16},"text_cfg":{"context_length":16,"vocab_size":49408,"width":16,"heads":2,"layers":1}}'
status=0

say() { # say NAME RESULT
    if [ "$2" = 0 ]; then echo "ok $1"; else echo "not ok $1: $(head -3 "$T/err" 2>/dev/null)"; status=1; fi
}
expect() { # expect NAME COMMAND...
    title=$1
    shift
    if "$@"; then say "$title" 0; else say "$title" 1; fi
}
run() { # run EXPECTED-EXIT ARGUMENTS...: output in $T/out, errors in $T/err
    want=$1
    shift
    "$CLIPC" "$@" >"$T/out" 2>"$T/err"
    got=$?
    [ $got = "$want" ] || { echo "# clipc $*: exit $got, wanted $want: $(head -1 "$T/err")"; return 1; }
}
one_line() { [ "$(wc -l <"$T/err")" = 1 ]; }
wait_for() { # wait_for COMMAND...: until it succeeds, a minute at most
    for tries in $(seq 1200); do
        "$@" && return
        sleep 0.05
    done
    return 1
}
pairs() { # a training set of eight pictures, in $T/pairs
    mkdir -p "$T/pairs"
    for f in rgb_64x64 rgb_41x29 grey rgba palette grey_alpha bilevel rgb_33x64; do
        cp tests/golden/pixels/$f.png "$T/pairs/" && echo "a picture called $f" >"$T/pairs/$f.txt"
    done
}
