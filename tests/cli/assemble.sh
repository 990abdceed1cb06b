# Two towers put together, and training of what learns in it.  Sourced by run.sh.

assembled() { # assembled EXIT
    run "$1" assemble --image tests/golden/models/effnet_package/model.pth --text tests/golden/models/sentences \
        --classes tests/golden/models/sentences/classes.tsv "$T/two.clipc"
}
assembles() {
    assembled 0 && run 0 info "$T/two.clipc" && grep -q '^embedding *8 floats' "$T/out" &&
        grep -q 'vocabulary 36' "$T/out" && assembled 3 && one_line && grep -q 'exists already' "$T/err" &&
        run 2 assemble --text tests/golden/models/sentences "$T/none.clipc"
}
zero_rows() { # zero_rows FILE.npy ROWS COLUMNS: ready features
    { printf '\223NUMPY\1\0v\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2, $3), }"
        head -c $((4 * $2 * $3)) /dev/zero; } >"$1"
}
head_run() { # head_run EXIT OUT MORE...: pictures and ready features in a batch, the head alone learns
    want=$1 out=$2
    shift 2
    run "$want" train --init "$T/two.clipc" --out "$out" --batch-size 4 --steps 3 --lr 1e-2 --threads 1 \
        --set precision=f32 --set "data=[\"$T/pairs\",\"$T/rows.npy\"]" --lock-image \
        --lock-image-unlocked-groups 1 --lock-text --cache-texts \
        --cache-dir "$T/headcache" "$@"
}
trains_head() { # the second run finds what the first one kept and ends at the same bits
    zero_rows "$T/rows.npy" 2 160 && printf 'a dot\tnothing\nno dot\n' >"$T/rows.txt" &&
        head_run 0 "$T/head1" --cache-features 1 && head_run 0 "$T/head2" --cache-features 1 &&
        same_model "$T/head1" "$T/head2" && run 0 convert "$T/head1" "$T/head8.clipc" --to clipc -p int8 &&
        run 0 classify $M/photo.jpg -m "$T/head8.clipc" -l 'cat,dog' &&
        run 0 convert "$T/two.clipc" "$T/two" -p f32 && ! same_model "$T/two" "$T/head1"
}
ready_rows_errors() {
    head_run 3 "$T/head3" && one_line && grep -q 'rows.npy: ready features are for runs with' "$T/err" &&
        printf 'a dot\n' >"$T/rows.txt" && head_run 0 "$T/head3" --cache-features 1 &&
        printf 'a\nb\nc\n' >"$T/rows.txt" && head_run 3 "$T/head4" --cache-features 1 && one_line &&
        grep -q 'rows.txt: more lines than 2 rows' "$T/err" && zero_rows "$T/rows.npy" 2 159 &&
        head_run 3 "$T/head4" --cache-features 1 && one_line && grep -q 'no rows of 160 numbers' "$T/err"
}
expect 'assemble: two towers, one model' assembles
expect 'assemble: its head is trained, by pictures and ready features' trains_head
expect 'train: ready features that do not fit' ready_rows_errors
