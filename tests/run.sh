#!/bin/sh
# Runs every test program of one build folder, then the command's own tests, and closes with
# one line that counts them all.  usage: sh tests/run.sh build/release-gcc
set -u
B=$1
passed=0 failed=0 skipped=0
log=$B/test.log
: >"$log"

of_kind() { # of_kind WORD: the names of the tests that a program's output says so of, each once
    printf '%s\n' "$out" | sed -n "s/^\\[  $1 *\\] \\([a-z_0-9]*\\)\$/\\1/p" | sort -u
}

for t in "$B"/test_*; do
    [ -f "$t" ] && [ -x "$t" ] || continue
    case $t in *.*) continue ;; esac
    out=$(CLIPC_TEST_BUILD=$B "$t" 2>&1)
    rc=$?
    printf '%s\n' "$out" >>"$log"
    p=$(printf '%s\n' "$out" | grep -c '^\[       OK \]')
    f=$(of_kind FAILED | wc -l) s=$(of_kind SKIPPED | wc -l)
    if [ $rc -ne 0 ]; then
        printf '%s\n' "$out" | grep -v '^\[ RUN\|^\[       OK' | tail -40
        [ "$f" -gt 0 ] || f=1
        echo "FAILED  ${t##*/}"
    else
        echo "ok      ${t##*/}: $p passed, $s skipped"
        f=0
    fi
    [ "$s" -eq 0 ] || echo "skipped" $(of_kind SKIPPED)
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

if [ -x "$B/clipc" ]; then
    if out=$(CLIPC="$B/clipc" sh tests/cli/run.sh 2>&1); then :; fi
    printf '%s\n' "$out" | grep -v '^ok ' || :
    p=$(printf '%s\n' "$out" | grep -c '^ok ')
    f=$(printf '%s\n' "$out" | grep -c '^not ok ')
    s=$(printf '%s\n' "$out" | grep -c '^skip ')
    [ $((p + f + s)) -gt 0 ] || { echo "FAILED  the command's tests did not run"; f=1; }
    echo "command: $p passed, $f failed, $s skipped"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
fi

[ $((passed + failed)) -gt 0 ] || failed=1
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
