#!/bin/sh
# The include rule of ARCHITECTURE.md: a file includes only its own floor's folder and the
# floors below that are listed for it; and source file names are unique in the tree.
set -u
status=0

may() { # the folders that files of folder $1 may include
    case $1 in
    base) echo "base" ;;
    tensor) echo "base tensor" ;;
    nn | io | image | store) echo "base tensor $1" ;;
    text | hub) echo "base $1" ;;
    model) echo "base tensor nn model" ;;
    clip) echo "base tensor nn io image text hub model clip" ;;
    task) echo "base tensor nn io image text hub store model clip task" ;;
    index) echo "base tensor nn io image text hub store model clip index" ;;
    train) echo "base tensor nn io image text hub model clip train" ;;
    cli | server | bindings | python) echo "base $1" ;;
    *) echo "" ;;
    esac
}

for file in $(find src cli server bindings python -name '*.[ch]' 2>/dev/null); do
    folder=$(echo "$file" | cut -d/ -f1)
    [ "$folder" = src ] && folder=$(echo "$file" | cut -d/ -f2)
    allowed=" $(may "$folder") "
    for to in $(sed -n 's/^#include "\([a-z0-9_]*\)\/.*/\1/p' "$file" | sort -u); do
        case $allowed in
        *" $to "*) ;;
        *) echo "$file: folder $folder may not include $to/"; status=1 ;;
        esac
    done
    for to in $(sed -n 's/^#include "\([^"\/]*\)".*/\1/p' "$file"); do
        [ -f "include/$to" ] || { echo "$file: \"$to\" is no public header"; status=1; }
    done
done

twice=$(find include src cli tests bench fuzz examples -name '*.[ch]' -exec basename {} \; |
    sort | uniq -d)
[ -z "$twice" ] || { echo "source file names used twice: $twice"; status=1; }

for examples in examples/*.c; do
    if grep -n '^#include "' "$examples" | grep -v '"clipc[a-z_]*\.h"'; then
        echo "$examples: examples include only the public headers"; status=1
    fi
done
[ $status -eq 0 ] && echo "include rule: kept"
exit $status
