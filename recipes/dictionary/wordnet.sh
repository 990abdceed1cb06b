#!/bin/sh
# A dictionary for `clipc train --dictionary` out of WordNet's nouns, to standard output.
#
# usage: sh recipes/dictionary/wordnet.sh [FOLDER [SENSES]] >words.tsv
#
# FOLDER holds index.noun, data.noun and cntlist.rev (/usr/share/wordnet, where Debian's
# package wordnet-base puts them).  Two words are synonyms if they share one of the first
# SENSES (1) of each, commonest first, so that the pair holds both ways; a word's glosses
# are those of the same senses, without examples.  Left out are words that are seldom
# nouns ("like", by WordNet's own counts), that captions have in other meanings ("who"),
# and those of fewer than three letters (units, elements, states).
set -eu
folder=${1:-/usr/share/wordnet}
for file in index.noun data.noun cntlist.rev; do
    [ -r "$folder/$file" ] || { echo "$folder/$file: not there (Debian: apt-get install wordnet-base)" >&2; exit 1; }
done

# Any awk will do, so hexadecimal numbers are read by hand.
LC_ALL=C exec awk -v senses="${2:-1}" '
    BEGIN {
        n = split("and any are but can did down each few for from had has have her him his " \
                  "how its last least less like lot many may met might more most much must nor " \
                  "not now off once one only other our out over own same she should some " \
                  "than that the them then there they this those too two under until was " \
                  "were what when where which who whom whose why will with won would " \
                  "you your", list, " ")
        for (i = 1; i <= n; i++) common[list[i]] = 1
    }
    /^  / { next } # the licence
    FILENAME ~ /cntlist.rev$/ { # lemma%type:.. sense times
        split($1, key, "%")
        if (substr(key[2], 1, 1) == "1") as_noun[key[1]] += $3
        else otherwise[key[1]] += $3
        next
    }
    FILENAME ~ /index.noun$/ { # lemma n synsets .. offset offset
        if (length($1) < 3 || $1 in common || otherwise[$1] > as_noun[$1]) next
        for (i = 1; i <= senses && i <= $3; i++) means[$1, $(NF - $3 + i)] = 1
        next
    }
    { # offset file n words(hex) word id word id .. | gloss; "example"
        gloss = substr($0, index($0, " | ") + 3)
        sub(/[;:] *".*/, "", gloss)
        gsub(/\t/, " ", gloss)
        sub(/[ ;]+$/, "", gloss)
        words = 16 * hex(substr($4, 1, 1)) + hex(substr($4, 2, 1))
        n = 0
        for (i = 0; i < words; i++)
            if ((tolower($(5 + 2 * i)), $1) in means) {
                word[++n] = $(5 + 2 * i)
                gsub(/_/, " ", word[n])
            }
        for (i = 1; i <= n; i++) {
            for (k = i + 1; k <= n; k++) print word[i] "\t" word[k]
            if (gloss != "") print word[i] "\t" gloss "\tgloss"
        }
    }
    function hex(digit) { return index("0123456789abcdef", digit) - 1 }
' "$folder/cntlist.rev" "$folder/index.noun" "$folder/data.noun"
