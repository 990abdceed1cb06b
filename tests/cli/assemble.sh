# Two towers put together, and training of what learns in it.  Sourced by run.sh.

E=tests/golden/models/effnet_package
S=tests/golden/models/sentences

assembles() {
    run 0 assemble --image $E/model.pth --text $S --classes $S/classes.tsv "$T/two.clipc" && run 0 info "$T/two.clipc" &&
        grep -q '^embedding *16 floats' "$T/out" && grep -q 'vocabulary 36' "$T/out" &&
        run 3 assemble --image $E/model.pth --text $S --classes $S/classes.tsv "$T/two.clipc" && one_line &&
        run 2 assemble --image $E/model.pth "$T/none.clipc"
}
head_run() { # head_run OUT MORE...: pictures and ready features in one batch, the head alone learns
    out=$1
    shift
    "$CLIPC" train --init "$T/two.clipc" --data "$T/pairs" --out "$out" --batch-size 4 --steps 3 --lr 1e-2 \
        --threads 1 --set precision=f32 --lock-image --lock-image-unlocked-groups 1 --lock-text \
        --lock-text-unlocked-layers 1 --cache-texts --cache-features 1 --cache-dir "$T/headcache" \
        "$@" >"$T/out" 2>"$T/err"
}
trains_head() { # the second run finds what the first one kept and ends at the same bits
    head_run "$T/head1" && head_run "$T/head2" && same_model "$T/head1" "$T/head2" &&
        run 0 convert "$T/head1" "$T/head8.clipc" --to clipc -p int8 &&
        run 0 classify $M/photo.jpg -m "$T/head8.clipc" -l 'cat,dog'
}
expect 'assemble: two towers, one model' assembles
expect 'assemble: its head is trained' trains_head
