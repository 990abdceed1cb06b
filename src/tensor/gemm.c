/* tensor/gemm.c -- the loops around the register tile, after BLIS (Van Zee and van de
 * Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", 2015):
 *
 *   spread over threads: (block of panels of A) x (group of panels of B)
 *     for blocks of K, in order
 *       pack that block of A into panels [kc][m]
 *       for each panel of B [kc][32], for each panel of A: one tile
 *       after the last block of K: the epilogue
 *
 * B that is not packed already is packed here before, by all threads, all of it or as
 * much as GEMM_PACK_FLOATS hold.
 */
#include "tensor/gemm.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/sizes.h"
#include "tensor/block_sizes.h"
#include "tensor/narrow.h"

enum { EPILOGUE_PANELS = 8, PIECES_PER_THREAD = 2, FEWEST_PANELS = 4, TURNED_ROWS = 8 };

/* Rows of A are cut into panels as even as can be: 50 rows by tiles of 14 are 13, 13, 12
 * and 12 rather than 14, 14, 14 and 8. */
typedef struct cut {
    size_t n, base, extra;
} cut;

static cut cut_rows(size_t M, size_t mr)
{
    const size_t n = (M + mr - 1) / mr;
    return (cut){n, M / n, M % n};
}

static size_t cut_at(const cut *c, size_t i)
{
    return i * c->base + (i < c->extra ? i : c->extra);
}

/* dst[k*stride + i] = element (i0+i, k0+k) of A; i < m, k < kc. */
static void pack_panel(const kernels *kern, float *dst, const mat *A, size_t i0, size_t m,
                       size_t k0, size_t kc, size_t stride)
{
    const size_t rs = A->rs, cs = A->cs;

    if (A->panel) {
        A->panel(kern, dst, A->from, i0, m, k0, kc, stride);
        return;
    }
    const float *src = A->p + i0 * rs + k0 * cs;
    if (rs == 1) {
        kern->copy_rows(dst, stride, src, cs, m, kc);
    } else if (cs == 1) {
        const float *rows[GEMM_NR];
        assert(m <= GEMM_NR);
        for (size_t i = 0; i < m; i++) rows[i] = src + i * rs;
        kern->gather(dst, stride, rows, m, kc);
    } else {
        for (size_t k = 0; k < kc; k++)
            for (size_t i = 0; i < m; i++) dst[k * stride + i] = src[i * rs + k * cs];
    }
}

/* A panel of B: columns j..j+n, zeros behind the last. */
static void pack_b(const kernels *k, float *dst, mat B, size_t k0, size_t kc, size_t j,
                   size_t n)
{
    const mat T = {B.p, B.cs, B.rs, B.panel, B.from};

    pack_panel(k, dst, &T, j, n, k0, kc, GEMM_NR);
    for (size_t r = 0; n < GEMM_NR && r < kc; r++)
        memset(dst + r * GEMM_NR + n, 0, (GEMM_NR - n) * sizeof *dst);
}

/* One product, or the part of it whose panels of B lie packed. */
typedef struct product {
    const kernels *k;
    float *C;
    size_t ldc;
    mat A;
    const void *b;  /* panels of this block: [panel][kc][32] */
    size_t b_first; /* the panel of them that is number 0 here */
    weight_form form;
    const float *scales; /* WEIGHTS_I8: [n] */
    compute precision;
    size_t k0, kc; /* this block of K */
    size_t k_end;  /* behind the last whose panels lie at b and on */
    size_t K, N;   /* of all of the product; of all panels that are packed */
    size_t n0, n;  /* the columns of C that the panels cover */
    cut rows;
    size_t panels;         /* of A that a block holds at most */
    size_t blocks, groups; /* of panels of A and of B, that the work is cut into */
    bool first, last;      /* of the blocks of K */
    gemm_opts o;
    mat B; /* what pack_b_task reads */
    float *b_out;
    exec *x;
} product;

static void epilogue(const product *p, size_t m0, size_t m1, size_t n0, size_t n1)
{
    const gemm_opts *o = &p->o;
    const size_t n = n1 - n0;

    if (!o->scale && !o->bias && o->f == ACT_NONE) return;
    if (o->scale) {
        float *c = p->C + m0 * p->ldc + n0;
        p->k->affine(c, c, p->ldc, o->scale + n0, o->bias + n0,
                     o->add ? o->add + m0 * p->ldc + n0 : NULL, m1 - m0, n, o->f);
        return;
    }
    for (size_t m = m0; m < m1; m++) {
        float *c = p->C + m * p->ldc + n0;
        if (o->bias) p->k->add(c, o->bias + n0, n);
        if (o->f == ACT_NONE) continue;
        if (o->pre) memcpy(o->pre + m * p->ldc + n0, c, n * sizeof *c);
        p->k->act_fwd(c, c, n, o->f);
    }
}

/* Columns that a block of n takes, zeros included. */
static size_t padded(size_t n)
{
    return div_up(n, GEMM_NR) * GEMM_NR;
}

/* Numbers of one column that stand side by side. */
static size_t group_of(weight_form form)
{
    return form == WEIGHTS_I8 ? 4 : form == WEIGHTS_BF16 ? 2 : 1;
}

static size_t panel_bytes(weight_form form, size_t kc)
{
    const size_t group = group_of(form), size = form == WEIGHTS_F16 ? 2 : 4 / group;

    return div_up(kc, group) * group * GEMM_NR * size;
}

/* Panel j where it is. */
static const void *panel_at(const product *p, size_t j)
{
    return (const char *)p->b + (p->b_first + j) * panel_bytes(p->form, p->kc);
}

/* Panel j as float32: where it is, or widened into `wide`. */
static const float *panel_b(const product *p, float *wide, size_t j)
{
    const void *b = panel_at(p, j);

    switch (p->form) {
    case WEIGHTS_F16: p->k->f16_to_f32(wide, b, p->kc * GEMM_NR); break;
    case WEIGHTS_BF16: p->k->bf16_panel(wide, b, p->kc); break;
    case WEIGHTS_I8: p->k->i8_panel(wide, b, p->scales + j * GEMM_NR, p->kc); break;
    default: return b;
    }
    return wide;
}

/* A panel of B as a tile takes it; `scale` of PRECISION_I8. */
typedef struct right {
    const void *p;
    float scale_mem[GEMM_NR];
    const float *scale;
} right;

static void right_panel(right *b, const product *p, float *wide, size_t j)
{
    const narrow_kernels *w = p->k->narrow;

    b->p = wide;
    b->scale = b->scale_mem;
    if (p->precision == PRECISION_F32) {
        b->p = panel_b(p, wide, j);
    } else if (p->precision == PRECISION_BF16) {
        if (p->form == WEIGHTS_BF16) b->p = panel_at(p, j);
        else w->pairs((uint32_t *)wide, panel_b(p, wide, j), p->kc, GEMM_NR);
    } else if (p->form == WEIGHTS_I8) {
        b->p = w->right_of_i8((uint32_t *)wide, panel_at(p, j), p->kc);
        b->scale = p->scales + j * GEMM_NR;
    } else {
        w->right_i8((uint32_t *)wide, b->scale_mem, panel_b(p, wide, j), p->kc);
    }
}

/* A block of rows of A in a thread's scratch; scales and sums of PRECISION_I8. */
typedef struct left {
    float *panels;
    float *scales; /* [GEMM_ROWS] */
    int32_t *sums; /* [GEMM_ROWS] */
} left;

static left left_in(float *scratch)
{
    float *scales = scratch + GEMM_ROWS * GEMM_KC;

    return (left){scratch, scales, (int32_t *)(void *)(scales + GEMM_ROWS)};
}

/* m rows from m0 on: the panel behind `at` rows of the block. */
static void left_panel(const left *a, const product *p, size_t at, size_t m0, size_t m)
{
    const narrow_kernels *w = p->k->narrow;
    float *panel = a->panels + at * p->kc, *scale = a->scales + at;
    uint32_t *y = (uint32_t *)panel;
    int32_t *sum = a->sums + at;
    const float *rows[GEMM_MR_MAX];

    if (p->precision == PRECISION_F32 || p->A.panel || p->A.cs != 1) {
        pack_panel(p->k, panel, &p->A, m0, m, p->k0, p->kc, m);
        if (p->precision == PRECISION_BF16) w->pairs(y, panel, p->kc, m);
        if (p->precision == PRECISION_I8) w->left_i8(y, scale, sum, panel, p->kc, m);
        return;
    }
    for (size_t i = 0; i < m; i++) rows[i] = p->A.p + (m0 + i) * p->A.rs + p->k0;
    if (p->precision == PRECISION_BF16) w->pairs_of_rows(y, rows, m, p->kc);
    else w->left_rows_i8(y, scale, sum, rows, m, p->kc);
}

/* One tile: m rows of c, those behind `at` of a; n columns from h on in the panel. */
static void tile(const product *p, float *c, const left *a, size_t at, const right *b,
                 size_t h, size_t m, size_t n, const char *ahead, size_t step)
{
    const int add = !p->first || p->o.accumulate;
    const narrow_kernels *w = p->k->narrow;
    const float *panel = a->panels + at * p->kc;
    const uint32_t *x = (const uint32_t *)panel, *y = (const uint32_t *)b->p + h;

    switch (p->precision) {
    case PRECISION_F32:
        p->k->tile(c, p->ldc, panel, (const float *)b->p + h, m, n, p->kc, add, ahead,
                   step);
        break;
    case PRECISION_BF16:
        w->tile_bf16(c, p->ldc, x, y, m, n, p->kc, add, ahead, step);
        break;
    case PRECISION_I8:
        w->tile_i8(c, p->ldc, x, a->scales + at, a->sums + at, y, b->scale + h, m, n,
                   p->kc, add, ahead, step);
        break;
    }
}

/* A thread's scratch: a block of A, then panels of B. */
static float *a_of(const product *p, size_t thread)
{
    return p->x->scratch + thread * p->x->scratch_floats;
}
static float *b_of(float *a)
{
    return a + GEMM_A_FLOATS;
}

/* Panels [p0,p1) of a transposed A.  Its rows, that is A's columns, are often a multiple
 * of the page apart, and so in the same few sets of the caches: some at a time for all
 * panels, so that a line of which two panels have a part is read once. */
static void pack_turned(const product *p, float *a, size_t p0, size_t p1)
{
    const size_t first = cut_at(&p->rows, p0);

    for (size_t k = 0; k < p->kc; k += TURNED_ROWS)
        for (size_t i = p0; i < p1; i++) {
            const size_t m0 = cut_at(&p->rows, i), m = cut_at(&p->rows, i + 1) - m0;
            pack_panel(p->k, a + (m0 - first) * p->kc + k * m, &p->A, m0, m, p->k0 + k,
                       min_size(TURNED_ROWS, p->kc - k), m);
        }
}

/* Panels [p0,p1) of A into a. */
static void pack_a(const product *p, float *a, size_t p0, size_t p1)
{
    const size_t first = cut_at(&p->rows, p0);
    const left l = left_in(a);

    if (p->precision == PRECISION_F32 && !p->A.panel && p->A.rs == 1) {
        pack_turned(p, a, p0, p1);
        return;
    }
    for (size_t i = p0; i < p1; i++) {
        const size_t m0 = cut_at(&p->rows, i);
        left_panel(&l, p, m0 - first, m0, cut_at(&p->rows, i + 1) - m0);
    }
}

/* Panels [p0,p1) of A, which lie in a, times panels [j0,j1) of B, beginning with the one
 * `turn` further. */
static void block(const product *p, float *a, size_t p0, size_t p1, size_t j0, size_t j1,
                  size_t turn)
{
    const size_t first = cut_at(&p->rows, p0), kc = p->kc, nr = p->k->nr;
    const size_t tiles = (p1 - p0) * (GEMM_NR / nr);
    const size_t share = panel_bytes(p->form, kc) / tiles;
    const left l = left_in(a);
    size_t j = j0 + turn, done = j;

    for (size_t more = j1 - j0; more > 0; more--) {
        const size_t n = min_size(GEMM_NR, p->n - j * GEMM_NR);
        const size_t next = j + 1 < j1 ? j + 1 : j0;
        float *c = p->C + first * p->ldc + p->n0 + j * GEMM_NR;
        /* Weights come from memory: each tile fetches its share of the panel after this.
         */
        const char *ahead = panel_at(p, next);
        right b;
        right_panel(&b, p, b_of(a), j);
        for (size_t h = 0; h < n; h += nr)
            for (size_t i = p0; i < p1; i++, ahead += share) {
                const size_t at = cut_at(&p->rows, i) - first;
                tile(p, c + at * p->ldc + h, &l, at, &b, h,
                     cut_at(&p->rows, i + 1) - first - at, min_size(nr, n - h), ahead,
                     div_up(share, kc));
            }
        /* While what was made lies in the second-level cache, or in the first-level one.
         */
        if (p->last &&
            (more == 1 || next == j0 || p->o.scale || j + 1 - done == EPILOGUE_PANELS)) {
            epilogue(p, first, cut_at(&p->rows, p1), p->n0 + done * GEMM_NR,
                     p->n0 + min_size((j + 1) * GEMM_NR, p->n));
            done = next;
        }
        j = next;
    }
}

static size_t panels_of(const product *p)
{
    return div_up(p->n, GEMM_NR);
}

static void begin_block(product *p, size_t k0)
{
    p->k0 = k0;
    p->kc = min_size(GEMM_KC, p->K - k0);
    p->first = k0 == 0;
    p->last = k0 + p->kc == p->K;
}

/* Goes on to the panels behind this block's; false: there are none. */
static bool next_block(product *p)
{
    if (p->k0 + p->kc == p->k_end) return false;
    p->b = (const char *)p->b + padded(p->N) / GEMM_NR * panel_bytes(p->form, p->kc);
    begin_block(p, p->k0 + p->kc);
    return true;
}

/* One block of rows, one group of panels of B, one block of K after the other.  Threads
 * are to be at different panels at a time: two that read the same lines of weights wait
 * for each other's caches (20 % on two cores of Zen 4). */
static void block_task(void *arg, size_t thread, size_t i)
{
    product p = *(const product *)arg;
    const size_t panels = panels_of(&p), threads = p.x->threads;
    const size_t rows = i / p.groups, group = i % p.groups;
    const size_t p0 = rows * p.rows.n / p.blocks, p1 = (rows + 1) * p.rows.n / p.blocks;
    const size_t j0 = group * panels / p.groups, j1 = (group + 1) * panels / p.groups;
    const size_t turn = rows * threads / p.blocks * (j1 - j0) / threads;
    float *a = a_of(&p, thread);

    do {
        pack_a(&p, a, p0, p1);
        block(&p, a, p0, p1, j0, j1, turn);
    } while (next_block(&p));
}

/* Enough pieces for every thread to have some to spare, and so small that the
 * second-level cache keeps what a piece makes of C from one block of K to the next:
 * rather fewer rows, as long as a panel of B is worth its way, than fewer columns, for
 * which rows of A are packed again.  Blocks of rows as even as can be, and for every
 * thread as many.
 */
static void run_blocks(exec *x, product *p)
{
    const size_t threads = x->threads, panels = p->rows.n;
    const size_t want = threads == 1 ? 1 : PIECES_PER_THREAD * threads;
    const size_t pieces = div_up(panels * p->k->mr * p->n, GEMM_C_FLOATS);

    p->blocks =
        max_size(div_up(panels, p->panels), min_size(pieces, panels / FEWEST_PANELS));
    if (p->blocks > threads)
        p->blocks = min_size(div_up(p->blocks, threads) * threads, panels);
    p->groups = max_size(div_up(want, p->blocks), div_up(pieces, p->blocks));
    p->groups = min_size(p->groups, panels_of(p));
    exec_each(x, block_task, p, p->blocks * p->groups);
}

/* Panel i of all blocks of K up to k_end. */
static void pack_b_task(void *arg, size_t thread, size_t i)
{
    const product *p = arg;
    const size_t panels = panels_of(p), j = i % panels, ahead = i / panels * GEMM_KC;
    const size_t k0 = p->k0 + ahead, kc = min_size(GEMM_KC, p->k_end - k0);

    (void)thread;
    pack_b(p->k, p->b_out + (ahead * panels + j * kc) * GEMM_NR, p->B, k0, kc,
           p->n0 + j * GEMM_NR, min_size(GEMM_NR, p->n - j * GEMM_NR));
}

/* How much of K is packed at a time: as even as blocks are. */
static size_t pack_depth(size_t N, size_t K)
{
    const size_t blocks = div_up(K, GEMM_KC);
    const size_t fit = GEMM_PACK_FLOATS / (padded(N) * GEMM_KC);

    return div_up(blocks, div_up(blocks, fit)) * GEMM_KC;
}

static product product_of(exec *x, float *C, size_t ldc, mat A, size_t M, size_t N,
                          size_t K, gemm_opts o)
{
    atomic_fetch_add_explicit(&x->operations, 2 * (uint64_t)M * N * K,
                              memory_order_relaxed);
    return (product){.k = x->k,
                     .C = C,
                     .ldc = ldc,
                     .K = K,
                     .A = A,
                     .o = o,
                     .rows = cut_rows(M, x->k->mr),
                     .panels = GEMM_ROWS / x->k->mr,
                     .x = x};
}

void gemm(exec *x, float *C, size_t ldc, mat A, mat B, size_t M, size_t N, size_t K,
          gemm_opts o)
{
    if (!M || !N) return;
    assert(K > 0);
    product p = product_of(x, C, ldc, A, M, N, K, o);

    p.B = B;
    p.b = p.b_out = x->pack_b;
    for (p.n0 = 0; p.n0 < N; p.n0 += GEMM_NC) {
        p.n = p.N = min_size(GEMM_NC, N - p.n0);
        const size_t depth = pack_depth(p.n, K);
        for (size_t k0 = 0; k0 < K; k0 += depth) {
            begin_block(&p, k0);
            p.k_end = min_size(k0 + depth, K);
            exec_each(x, pack_b_task, &p, panels_of(&p) * div_up(p.k_end - k0, GEMM_KC));
            run_blocks(x, &p);
        }
    }
}

size_t gemm_packed_bytes(weight_form form, size_t N, size_t K)
{
    const size_t scales = form == WEIGHTS_I8 ? padded(N) * sizeof(float) : 0;
    const size_t whole = K / GEMM_KC * panel_bytes(form, GEMM_KC);

    return scales + padded(N) / GEMM_NR * (whole + panel_bytes(form, K % GEMM_KC));
}

typedef struct packer {
    const kernels *k;
    mat B;
    size_t N;
    weight_form form;
    float *scales; /* [padded(N)] */
} packer;

/* y = x [kc][32] in groups. */
static void group_bf16(const kernels *k, uint16_t *y, const float *x, size_t kc)
{
    uint16_t half[GEMM_KC * GEMM_NR];

    k->f32_to_bf16(half, x, kc * GEMM_NR);
    memset(y, 0, panel_bytes(WEIGHTS_BF16, kc));
    for (size_t i = 0; i < kc; i++)
        for (size_t c = 0; c < GEMM_NR; c++)
            y[(i / 2 * GEMM_NR + c) * 2 + i % 2] = half[i * GEMM_NR + c];
}

static void group_i8(uint8_t *y, const float *x, const float *scales, size_t kc)
{
    memset(y, 128, panel_bytes(WEIGHTS_I8, kc));
    for (size_t i = 0; i < kc; i++)
        for (size_t c = 0; c < GEMM_NR; c++, x++)
            if (scales[c] > 0.0f)
                y[(i / 4 * GEMM_NR + c) * 4 + i % 4] =
                    (uint8_t)(128 + lrintf(*x / scales[c]));
}

/* The panel from column j on, at x. */
static void narrow(const packer *p, void *dst, const float *x, size_t j, size_t kc)
{
    switch (p->form) {
    case WEIGHTS_F16: p->k->f32_to_f16(dst, x, kc * GEMM_NR); break;
    case WEIGHTS_BF16: group_bf16(p->k, dst, x, kc); break;
    case WEIGHTS_I8: group_i8(dst, x, p->scales + j, kc); break;
    default: memcpy(dst, x, kc * GEMM_NR * sizeof *x);
    }
}

static void find_scales(const packer *p, size_t K)
{
    float x[GEMM_KC * GEMM_NR];

    memset(p->scales, 0, padded(p->N) * sizeof *p->scales);
    for (size_t k0 = 0; k0 < K; k0 += GEMM_KC)
        for (size_t j = 0, kc = min_size(GEMM_KC, K - k0); j < p->N; j += GEMM_NR) {
            pack_b(p->k, x, p->B, k0, kc, j, min_size(GEMM_NR, p->N - j));
            for (size_t i = 0; i < kc * GEMM_NR; i++) {
                float *s = &p->scales[j + i % GEMM_NR];
                *s = fmaxf(*s, fabsf(x[i]) / 127.0f);
            }
        }
}

void gemm_pack(const kernels *k, void *packed, weight_form form, mat B, size_t N,
               size_t K)
{
    const packer p = {k, B, N, form, packed};
    float x[GEMM_KC * GEMM_NR];
    char *dst = packed;

    if (form == WEIGHTS_I8) {
        find_scales(&p, K);
        dst += padded(N) * sizeof(float);
    }
    for (size_t k0 = 0; k0 < K; k0 += GEMM_KC)
        for (size_t j = 0, kc = min_size(GEMM_KC, K - k0); j < N; j += GEMM_NR) {
            pack_b(k, x, B, k0, kc, j, min_size(GEMM_NR, N - j));
            narrow(&p, dst, x, j, kc);
            dst += panel_bytes(form, kc);
        }
}

void gemm_unpack(const kernels *k, float *w, const void *packed, weight_form form,
                 size_t N, size_t K)
{
    const size_t scales = form == WEIGHTS_I8 ? padded(N) * sizeof(float) : 0;
    product p = {.k = k, .form = form, .scales = packed};
    float wide[GEMM_KC * GEMM_NR];

    p.b = (const char *)packed + scales;
    for (size_t k0 = 0; k0 < K; k0 += GEMM_KC) {
        p.kc = min_size(GEMM_KC, K - k0);
        for (size_t n = 0; n < N; n++) {
            const size_t c = n % GEMM_NR;
            /* Rows of w go on where panels do: each is widened once. */
            const float *b = c ? wide : panel_b(&p, wide, n / GEMM_NR);
            if (b != wide) memcpy(wide, b, p.kc * GEMM_NR * sizeof *wide);
            for (size_t r = 0; r < p.kc; r++) w[n * K + k0 + r] = wide[r * GEMM_NR + c];
        }
        p.b = (const char *)p.b + padded(N) / GEMM_NR * panel_bytes(form, p.kc);
    }
}

const float *gemm_packed_row(const float *packed, size_t N, size_t K, size_t j, size_t k)
{
    const size_t k0 = k / GEMM_KC * GEMM_KC, kc = min_size(GEMM_KC, K - k0);

    return packed + k0 * padded(N) + (j * kc + k - k0) * GEMM_NR;
}

void gemm_packed(exec *x, float *C, size_t ldc, mat A, const void *packed,
                 weight_form form, size_t M, size_t N, size_t K, gemm_opts o)
{
    gemm_packed_part(x, C, ldc, A, packed, form, M, N, 0, N, K, o);
}

void gemm_packed_part(exec *x, float *C, size_t ldc, mat A, const void *packed,
                      weight_form form, size_t M, size_t N, size_t n0, size_t n, size_t K,
                      gemm_opts o)
{
    if (!M || !n) return;
    product p = product_of(x, C, ldc, A, M, n, K, o);
    const char *b = packed;

    assert(n0 % GEMM_NR == 0 && n0 + n <= N);
    p.n = n;
    p.N = N;
    p.form = form;
    p.precision = narrow_precision(x->k, x->precision);
    if (form == WEIGHTS_I8) {
        p.scales = (const float *)packed + n0;
        b += padded(N) * sizeof(float);
    }
    begin_block(&p, 0);
    p.k_end = K;
    p.b = b;
    p.b_first = n0 / GEMM_NR;
    run_blocks(x, &p);
}

void gemm_serial(exec *x, size_t thread, float *C, size_t ldc, mat A, mat B, size_t M,
                 size_t N, size_t K, gemm_opts o)
{
    if (!M || !N) return;
    product p = product_of(x, C, ldc, A, M, N, K, o);
    float *a = a_of(&p, thread), *b = b_of(a);

    p.b = b;
    for (p.n0 = 0; p.n0 < N; p.n0 += GEMM_SERIAL_NC) {
        p.n = min_size(GEMM_SERIAL_NC, N - p.n0);
        for (size_t k0 = 0; k0 < K; k0 += GEMM_KC) {
            begin_block(&p, k0);
            for (size_t j = 0; j < panels_of(&p); j++)
                pack_b(x->k, b + j * p.kc * GEMM_NR, B, k0, p.kc, p.n0 + j * GEMM_NR,
                       min_size(GEMM_NR, p.n - j * GEMM_NR));
            for (size_t i = 0; i < p.rows.n; i += p.panels) {
                const size_t end = min_size(i + p.panels, p.rows.n);
                pack_a(&p, a, i, end);
                block(&p, a, i, end, 0, panels_of(&p), 0);
            }
        }
    }
}

void gemm_packed_serial(exec *x, size_t thread, float *C, size_t ldc, mat A,
                        const float *packed, size_t M, size_t N, size_t K)
{
    if (!M || !N) return;
    product p = product_of(x, C, ldc, A, M, N, K, (gemm_opts){0});

    assert(M <= GEMM_ROWS / x->k->mr * x->k->mr);
    p.n = p.N = N;
    p.form = WEIGHTS_F32;
    p.b = packed;
    p.blocks = p.groups = 1;
    begin_block(&p, 0);
    p.k_end = K;
    block_task(&p, thread, 0);
}
