/* Searches, in SQL: filters, pgvector's order, scores in float32. */
#ifdef CLIPC_HAVE_PQ

#include <inttypes.h>
#include <string.h>

#include "store/glob.h"
#include "store/pgstore.h"

/* A float16 column orders by rounded queries, so some more are scored than are wanted. */
enum { SPARE = 16 };

/* What a search's parameters point to. */
typedef struct asked {
    pg_args a;
    buf sql, behind, vector, unless, names;
} asked;

static void asked_free(asked *q)
{
    buf_free(&q->sql);
    buf_free(&q->behind);
    buf_free(&q->vector);
    buf_free(&q->unless);
    buf_free(&q->names);
}

/* "[1,2,..]" */
static int print_vector(buf *b, const float *v, size_t dim, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t d = 0; rc == CLIPC_OK && d < dim; d++)
        rc = buf_printf(b, err, "%c%.9g", d ? ',' : '[', (double)v[d]);
    return rc == CLIPC_OK ? buf_puts(b, "]", err) : rc;
}

/* ---- filters ---- */

/* Names, or whole keys where the pattern has a '/'. */
static int print_globs(buf *b, const clipc_index_search_options *o, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < o->n_globs; i++) {
        const bool path = strchr(o->globs[i], '/');
        rc = buf_printf(b, err, "%s%s",
                        i ? "|" : "^(?:", path ? "(?:" : "(?:(?:.*/)?(?=[^/]*$)");
        if (rc == CLIPC_OK) rc = glob_regex(b, o->globs[i], err);
        if (rc == CLIPC_OK) rc = buf_puts(b, ")", err);
    }
    return rc == CLIPC_OK ? buf_puts(b, ")$", err) : rc;
}

/* Items that fit one of these better than the query are none. */
static int print_unless(asked *q, const clipc_index_search_options *o, size_t dim,
                        clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < o->n_unless; i++) {
        rc = buf_puts(&q->unless, i ? ",\"" : "{\"", err);
        if (rc == CLIPC_OK) rc = print_vector(&q->unless, o->unless + i * dim, dim, err);
        if (rc == CLIPC_OK) rc = buf_puts(&q->unless, "\"", err);
    }
    if (rc == CLIPC_OK) rc = buf_puts(&q->unless, "}", err);
    return rc == CLIPC_OK
               ? buf_printf(&q->sql, err,
                            " AND NOT EXISTS (SELECT 1 FROM unnest($%d::vector[]) u WHERE"
                            " v.embedding::vector <#> u < v.embedding::vector <#>"
                            " $1::vector)",
                            pg_arg_text(&q->a, q->unless.data))
               : rc;
}

static int print_times(asked *q, const clipc_index_search_options *o, clipc_err *err)
{
    int rc = CLIPC_OK;

    if (o->after || o->before) rc = buf_puts(&q->sql, " AND i.time <> 0", err);
    if (rc == CLIPC_OK && o->after)
        rc = buf_printf(&q->sql, err, " AND i.time >= $%d",
                        pg_arg_number(&q->a, o->after));
    if (rc == CLIPC_OK && o->before)
        rc = buf_printf(&q->sql, err, " AND i.time < $%d",
                        pg_arg_number(&q->a, o->before));
    return rc;
}

static int print_sizes(asked *q, const clipc_index_search_options *o, clipc_err *err)
{
    static const char *const shapes[] = {
        [CLIPC_LANDSCAPE] = ">", [CLIPC_PORTRAIT] = "<", [CLIPC_SQUARE] = "="};
    int rc = CLIPC_OK;

    if (o->min_side)
        rc = buf_printf(&q->sql, err, " AND least(i.width, i.height) >= $%d",
                        pg_arg_number(&q->a, o->min_side));
    if (rc == CLIPC_OK && o->shape)
        rc = buf_printf(&q->sql, err,
                        " AND i.width > 0 AND i.height > 0"
                        " AND i.width %s i.height",
                        shapes[o->shape]);
    return rc;
}

static int print_filters(asked *q, const store_query *is, size_t dim, clipc_err *err)
{
    const clipc_index_search_options *o = is->o;
    int rc = pg_where_prefix(&q->sql, &q->a, &q->behind, is->prefix, err);

    if (rc == CLIPC_OK) rc = print_times(q, o, err);
    if (rc == CLIPC_OK) rc = print_sizes(q, o, err);
    if (rc == CLIPC_OK && o->n_globs) {
        rc = print_globs(&q->names, o, err);
        if (rc == CLIPC_OK)
            rc = buf_printf(&q->sql, err,
                            " AND convert_from(i.key, 'LATIN1') COLLATE \"C\" ~ $%d",
                            pg_arg_text(&q->a, q->names.data));
    }
    return rc == CLIPC_OK && o->n_unless ? print_unless(q, o, dim, err) : rc;
}

/* ---- the statement ---- */

/* The inner one is what an HNSW index can answer; the outer one scores in float32. */
static int print_search(asked *q, const store_query *is, const pg_space *space,
                        clipc_err *err)
{
    int rc = print_vector(&q->vector, is->vector, space->dim, err);

    if (rc != CLIPC_OK) return rc;
    const int vector = pg_arg_text(&q->a, q->vector.data); /* $1 */
    const int root = pg_arg_number(&q->a, is->root);
    const int k = pg_arg_number(&q->a, (int64_t)is->o->k);
    const int more = pg_arg_number(&q->a, (int64_t)is->o->k + SPARE);
    rc = buf_printf(&q->sql, err,
                    "SELECT " PG_ITEM_COLUMNS ", i.score FROM (SELECT i.*, v.id AS slot,"
                    " -(v.embedding::vector <#> $%d::vector) AS score"
                    " FROM clipc.vector_%" PRId64
                    " v JOIN clipc.item i ON i.hash = v.hash WHERE i.root = $%d",
                    vector, space->id, root);
    if (rc == CLIPC_OK) rc = print_filters(q, is, space->dim, err);
    return rc == CLIPC_OK
               ? buf_printf(&q->sql, err,
                            " ORDER BY v.embedding <#> $%d::vector::%s LIMIT $%d) i"
                            " ORDER BY i.score DESC, i.slot, i.id LIMIT $%d",
                            vector, space->sql_type, more, k)
               : rc;
}

/* Settings of this transaction alone: how far HNSW looks, at most 1000; and from pgvector
 * 0.8 on, that it looks further where filters leave too little.  At 400 it finds 93 % of
 * the 10 best of 50,000 vectors in 200 groups, for queries that lie near to none, and
 * costs 10 ms more than at 100, which finds 76 %. */
static int tune(struct pg *p, size_t k, clipc_err *err)
{
    pg_args a = {0};
    const size_t wide = 4 * k;

    pg_arg_number(&a, wide < 400 ? 400 : wide > 1000 ? 1000 : (int64_t)wide);
    return pg_run(&p->link, NULL,
                  "SELECT set_config('hnsw.ef_search', $1::bigint::text, true),"
                  " CASE WHEN extversion ~ '^0\\.[0-7]\\.' THEN ''"
                  " ELSE set_config('hnsw.iterative_scan', 'strict_order', true) END"
                  " FROM pg_extension WHERE extname = 'vector'",
                  &a, err);
}

/* Fewer than k may be all that there are, or all that HNSW came by before it gave up, so
 * these are asked for again without it. */
static int run(struct pg *p, pg_rows **rows, const asked *q, size_t k, clipc_err *err)
{
    int rc = tune(p, k, err);

    *rows = NULL;
    if (rc == CLIPC_OK) rc = pg_run(&p->link, rows, q->sql.data, &q->a, err);
    if (rc != CLIPC_OK || (size_t)pg_count(*rows) >= k) return rc;
    pg_rows_free(*rows);
    *rows = NULL;
    rc = pg_run(&p->link, NULL, "SET LOCAL enable_indexscan = off", NULL, err);
    return rc == CLIPC_OK ? pg_run(&p->link, rows, q->sql.data, &q->a, err) : rc;
}

int pg_search(store *s, const store_query *is, store_scored_fn fn, void *arg,
              clipc_err *err)
{
    struct pg *p = s->pg;
    asked q = {0};
    pg_space space;
    pg_rows *rows = NULL;
    int rc = pg_space_of(p, &space, is->space, err);

    if (rc == CLIPC_OK) rc = print_search(&q, is, &space, err);
    if (rc == CLIPC_OK) rc = pg_run(&p->link, NULL, "BEGIN READ ONLY", NULL, err);
    if (rc == CLIPC_OK) {
        rc = run(p, &rows, &q, is->o->k, err);
        pg_run(&p->link, NULL, "ROLLBACK", NULL, NULL);
    }
    for (int i = 0; rc == CLIPC_OK && i < pg_count(rows); i++) {
        const store_item it = pg_item(rows, i);
        rc = fn(arg, &it, (float)pg_float(rows, i, PG_ITEM_N));
    }
    pg_rows_free(rows);
    asked_free(&q);
    return rc;
}

#endif
