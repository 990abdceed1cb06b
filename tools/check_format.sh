#!/bin/sh
# clang-format decides; generated sources are left out.
files=$(git ls-files '*.c' '*.h' | grep -v '_data\.[ch]$')
bad=$(clang-format --dry-run $files 2>&1 | sed -n 's/^\([^:]*\):.*/\1/p' | sort | uniq -c)
if [ -n "$bad" ]; then
    echo "not formatted (places, file); clang-format -i mends them:"
    echo "$bad"
    exit 1
fi
echo "format: clean"
