#include "train/all_pairs.h"

#include "base/sizes.h"

enum {
    BLOCK_FLOATS = 1 << 20, /* of S at a time, if that is BLOCK_ROWS or more */
    BLOCK_ROWS = 256,       /* enough for products to run at their full speed */
    ROWS = 8                /* a thread's piece */
};

static size_t block_rows(size_t N, size_t M)
{
    return min_size(N, max_size(BLOCK_ROWS, BLOCK_FLOATS / M));
}

void pairs_room_take(pairs_room *r, arena *a, size_t N, size_t M, bool taught)
{
    const size_t block = block_rows(N, M) * M;

    r->s = ARENA_FLOATS(a, block);
    r->t = taught ? ARENA_FLOATS(a, block) : NULL;
    r->loss = arena_take(a, N, sizeof *r->loss);
}

typedef struct rows_job {
    pairs_row *row;
    const void *arg;
    const pairs_room *room;
    size_t first, M; /* which row the block begins with */
    bool taught;
} rows_job;

static void some_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        j->room->loss[j->first + r] =
            j->row(j->arg, j->room->s + r * j->M,
                   j->taught ? j->room->t + r * j->M : NULL, j->first + r);
}

/* s [n,M] = rows [at, at + n) of S. */
static void block_of(exec *e, float *s, const two_sides *of, size_t at, size_t n,
                     size_t M)
{
    gemm(e, s, M, mat_of(of->x + at * of->E, of->E), mat_t(of->y, of->E), n, M, of->E,
         (gemm_opts){0});
}

double all_pairs(exec *e, pairs_row *row, const void *arg, float *dx, float *dy,
                 const pairs_room *room, const two_sides *own, const two_sides *teacher,
                 size_t N, size_t M)
{
    const size_t E = own->E, most = block_rows(N, M);
    const gemm_opts add = {.accumulate = true};
    rows_job job = {row, arg, room, 0, M, teacher != NULL};
    double loss = 0.0;

    for (size_t at = 0; at < N; at += most) {
        const size_t n = min_size(most, N - at);
        job.first = at;
        block_of(e, room->s, own, at, n, M);
        if (teacher) block_of(e, room->t, teacher, at, n, M);
        exec_range(e, some_rows, &job, n, ROWS);
        gemm(e, dx + at * E, E, mat_of(room->s, M), mat_of(own->y, E), n, E, M, add);
        gemm(e, dy, E, mat_t(room->s, M), mat_of(own->x + at * E, E), M, E, n, add);
    }
    for (size_t i = 0; i < N; i++) loss += room->loss[i];
    return loss;
}
