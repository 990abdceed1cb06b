/* clipc_index.h -- an index of pictures: folders that stay true, search by texts,
 * pictures, vectors, and sums of them.
 *
 *     clipc_index *index = NULL;
 *     clipc_index_hits hits = {0};
 *     const clipc_index_term dog = {.weight = 1, .text = "a dog on the beach"};
 *
 *     if (clipc_index_open(&index, NULL, ctx, NULL, &err) ||
 *         clipc_index_update(index, ctx, "photos", NULL, NULL, &err) ||
 *         clipc_index_search(&hits, index, ctx, &dog, 1, NULL, &err))
 *         die(err.msg);
 *     for (size_t i = 0; i < hits.n; i++)
 *         printf("%.3f %s\n", hits.v[i].score, hits.v[i].key);
 *     clipc_index_hits_free(&hits);
 *     clipc_index_close(index);
 *
 * An index is a folder, or tables of a PostgreSQL server (FORMAT.md), and holds vectors
 * of any number of models; a handle is for one of them.  Handles may be used by several
 * threads at a time, each with a context of its own; of several processes one writes at a
 * time, the others wait for its batch or get CLIPC_ERR_EXISTS (of a server several
 * write), and all may search.
 *
 * Keys name what is indexed: a file's absolute path, or bytes without NUL that the caller
 * chooses; a key that begins with '/' is a file.  Errors are as in clipc.h. */
#ifndef CLIPC_INDEX_H
#define CLIPC_INDEX_H

#include "clipc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clipc_index clipc_index;

/* How numbers of new vectors are stored. */
enum { CLIPC_VECTORS_F16, CLIPC_VECTORS_F32, CLIPC_VECTORS_INT8 };

/* Zeroed means default; NULL means all of it. */
typedef struct clipc_index_options {
    int read_only; /* fails where there is no index yet */
    int vectors;   /* CLIPC_VECTORS_*, of a model that is new to the index */
    /* Without a context: whose vectors they are, and how long. */
    const char *space;
    size_t dim;
} clipc_index_options;

/* Opens or makes the index in `folder` (NULL: $XDG_DATA_HOME/clipc, or
 * ~/.local/share/clipc; or "postgresql://USER@HOST/DATABASE") for the vectors of ctx's
 * model with ctx's options, known by what the model is, not by its path.  The handle
 * keeps nothing of ctx.  On failure *out is NULL. */
CLIPC_API int clipc_index_open(clipc_index **out, const char *folder,
                               const clipc_ctx *ctx, const clipc_index_options *options,
                               clipc_err *err);
CLIPC_API void clipc_index_close(clipc_index *x);

/* ---- folders ------------------------------------------------------------------------
 */

/* Zeroed means default; NULL means all of it. */
typedef struct clipc_index_update_options {
    int hidden;   /* names that begin with a dot, too */
    int one_disk; /* not what lies on other file systems */
    int remember; /* the folder, with these: clipc_index_update_all takes it, and
                     updates of what lies below it begin with them */
    int videos;   /* new ones, too; what the index has of videos is kept up anyway */
    double every; /* 5: seconds between pictures of a video, beside changes of scene */
    /* Patterns of the shell, of names, or of paths below the folder if with a '/'. */
    const char *const *exclude;
    size_t n_exclude;
    /* Pictures that are read, of those that are new or changed; or NULL. */
    void (*on_progress)(void *user, size_t done, size_t total);
    /* A picture or a folder that could not be read now, and why; also a folder that is
     * empty and was not, as of a drive that is not there; or NULL. */
    void (*on_failed)(void *user, const char *path, const clipc_err *why);
    int (*stop)(void *user); /* asked between batches; 1: enough, what is done is kept */
    void *user;
} clipc_index_update_options;

/* What an update did, in files. */
typedef struct clipc_index_changes {
    size_t unchanged; /* size, time and inode are as before */
    size_t embedded;  /* new or changed */
    size_t known;     /* moved, renamed, copied or touched: the content was known */
    size_t removed;   /* no longer there */
    size_t failed;    /* cannot be read, now or before: kept with the reason, and tried
                         again when they change */
    size_t busy;      /* changed while they were read: tried next time */
    int stopped;
} clipc_index_changes;

/* Brings the index up to what lies at `path`, a folder with all below it or a picture:
 * first what is new, then what is gone.  A folder that is missing, is empty or cannot be
 * read (a drive that is not there) loses nothing.  *out (NULL allowed) counts. */
CLIPC_API int clipc_index_update(clipc_index *x, clipc_ctx *ctx, const char *path,
                                 const clipc_index_update_options *options,
                                 clipc_index_changes *out, clipc_err *err);

/* The same of each folder that an update remembered; options for hearing alone. */
CLIPC_API int clipc_index_update_all(clipc_index *x, clipc_ctx *ctx,
                                     const clipc_index_update_options *options,
                                     clipc_index_changes *out, clipc_err *err);
/* Those folders. */
CLIPC_API int clipc_index_each_folder(clipc_index *x,
                                      int (*on)(void *user, const char *folder),
                                      void *user, clipc_err *err);

/* ---- one at a time ------------------------------------------------------------------
 */

/* A picture in memory under a key; meta is JSON text of the caller's (NULL: none).  What
 * the key had before is replaced. */
CLIPC_API int clipc_index_add_image(clipc_index *x, clipc_ctx *ctx, const char *key,
                                    const void *data, size_t size, const char *meta,
                                    clipc_err *err);
/* n vectors [n,dim], which are brought to unit length; metas may be NULL, or hold NULL.
 */
CLIPC_API int clipc_index_add_vectors(clipc_index *x, const char *const *keys,
                                      const float *vectors, const char *const *metas,
                                      size_t n, clipc_err *err);
/* What has this key, and what lies below it if it is a folder, which is no longer
 * remembered; *removed (NULL allowed) counts. */
CLIPC_API int clipc_index_remove(clipc_index *x, const char *key, size_t *removed,
                                 clipc_err *err);

/* ---- search -------------------------------------------------------------------------
 */

/* Part of a query: one of text, file, data and vector. */
typedef struct clipc_index_term {
    float weight; /* times the unit vector; below 0: away from it */
    const char *text;
    const char *file; /* a picture; "-": standard input */
    const void *data; /* a picture of `size` bytes */
    size_t size;
    const float *vector; /* [dim] */
} clipc_index_term;

/* vector [dim] = the sum of the terms, of unit length; CLIPC_ERR_ARG if nothing is left
 * of it. */
CLIPC_API int clipc_index_query(float *vector, clipc_ctx *ctx,
                                const clipc_index_term *terms, size_t n, clipc_err *err);

/* How vectors are looked for: by the approximate index if there is one, FAISS is
 * installed and it saves time, or by the exact scan; always by that; by the approximate
 * one whenever it is there. */
enum { CLIPC_SCAN_AUTO, CLIPC_SCAN_EXACT, CLIPC_SCAN_APPROXIMATE };

enum { CLIPC_ANY_SHAPE, CLIPC_LANDSCAPE, CLIPC_PORTRAIT, CLIPC_SQUARE };

/* Zeroed means default; NULL means all of it. */
typedef struct clipc_index_search_options {
    size_t k;            /* 10: as many at most */
    float min_score;     /* cosines below it are no hits; 0: all are */
    const float *unless; /* [n_unless,dim] unit vectors: what fits one of these better
                            than the query is no hit */
    size_t n_unless;
    const char *folder; /* only what lies below */
    /* [n_globs] only what matches one, as fnmatch does: names, or whole keys where it has
     * a
     * '/', which '*' may stand for too. */
    const char *const *globs;
    size_t n_globs;
    int64_t after, before; /* seconds since 1970, taken at or after and before (EXIF, else
                              the file's time); 0: any */
    uint32_t min_side;     /* pixels of the shorter side */
    int shape;             /* CLIPC_LANDSCAPE ..: pictures of known size */
    int scan;              /* CLIPC_SCAN_* */
} clipc_index_search_options;

typedef struct clipc_index_hit {
    float score; /* cosine */
    char *key;
    char *meta;             /* JSON text, or NULL */
    int64_t time;           /* seconds since 1970; 0: unknown */
    double seconds;         /* from the start of a video; below 0: a picture */
    uint32_t width, height; /* 0: unknown */
} clipc_index_hit;

typedef struct clipc_index_hits {
    clipc_index_hit *v; /* the best first */
    size_t n;
    int approximate; /* found by the approximate index */
    clipc_err
        passed; /* why that was passed over, as a damaged one is; code 0: it was not */
} clipc_index_hits;

/* ctx may be NULL where all terms are vectors.  Free the hits, also after a failure. */
CLIPC_API int clipc_index_search(clipc_index_hits *out, clipc_index *x, clipc_ctx *ctx,
                                 const clipc_index_term *terms, size_t n,
                                 const clipc_index_search_options *options,
                                 clipc_err *err);
CLIPC_API void clipc_index_hits_free(clipc_index_hits *hits);

/* ---- approximate search -------------------------------------------------------------
 */

/* An index by FAISS (an optional library) beside the vectors of a model, which answers
 * without reading most of them.  HNSW is a graph, best for a program that asks often: it
 * is read whole first.  IVF-PQ has lists of codes, read where they lie, for indexes of
 * millions.  Newer vectors are scanned, removed ones passed over; scores are those of the
 * exact scan. */
enum { CLIPC_APPROXIMATE_NONE, CLIPC_APPROXIMATE_HNSW, CLIPC_APPROXIMATE_IVF_PQ };

/* A model of fewer vectors is searched exactly, unless told otherwise: a scan of so many
 * takes about a tenth of a second.  The environment's CLIPC_APPROXIMATE_FROM goes before.
 */
enum { CLIPC_APPROXIMATE_FROM = 1000000 };

typedef struct clipc_index_approximate {
    const char *model;
    int kind;       /* CLIPC_APPROXIMATE_*; NONE: there is none */
    size_t vectors; /* that it holds */
    uint64_t bytes; /* of its file */
    double recall; /* of the exact scan's 10 best the part it finds, measured with sums of
                      stored vectors and noise when it was made */
    int made;      /* by this call: 1 anew, 2 grown, 0 neither */
    double seconds;   /* it took; this and the next two only if made */
    double ms, exact; /* milliseconds of a query, of this one and the exact scan */
} clipc_index_approximate;

/* Zeroed means default; NULL means all of it. */
typedef struct clipc_index_build_options {
    int kind; /* CLIPC_APPROXIMATE_*; NONE: what is there, else IVF-PQ from 100,000
                 vectors on */
    int due; /* only models of CLIPC_APPROXIMATE_FROM vectors, of which a sixteenth is new
              */
    size_t threads;                                             /* 0: all it may use */
    void (*on_progress)(void *user, size_t done, size_t total); /* NULL allowed */
    int (*stop)(void *user);                                    /* NULL allowed */
    void *user;
} clipc_index_build_options;

/* Brings the approximate indexes of all models in `folder` (NULL: as clipc_index_open) up
 * to date, and tells of each; others go on searching and writing.  CLIPC_ERR_IO: FAISS is
 * not installed; CLIPC_ERR_EXISTS: another process is at it. */
CLIPC_API int clipc_index_build(const char *folder,
                                const clipc_index_build_options *options,
                                void (*on)(void *user, const clipc_index_approximate *a),
                                void *user, clipc_err *err);
/* Whether that would do anything for the handle's model with `due`, and was not begun in
 * the last ten minutes. */
CLIPC_API int clipc_index_build_due(clipc_index *x);

/* ---- copies -------------------------------------------------------------------------
 */

enum {
    CLIPC_TWIN_FIRST, /* of its group */
    CLIPC_TWIN_BYTES, /* the same bytes */
    CLIPC_TWIN_COPY,  /* the same picture: resized, recompressed or little changed */
    CLIPC_TWIN_BURST  /* taken right after or before, as EXIF says, and much alike */
};

typedef struct clipc_index_twin {
    const char *key;
    int reason;       /* CLIPC_TWIN_*: what it is to twin number `of` of the group */
    size_t of;        /* before it in the group */
    float score;      /* cosine of these two; 1 of the same bytes */
    float difference; /* of their pixels, mean of 0 to 255; 0 of the same bytes */
    double seconds;   /* between them, of a burst */
    int64_t bytes;
    uint32_t width, height; /* 0: unknown */
} clipc_index_twin;

/* Zeroed means default; NULL means all of it. */
typedef struct clipc_index_twin_options {
    float min_score;      /* 0.9: pictures whose cosine is below are not compared */
    float max_difference; /* 6: of copies */
    double burst;         /* 3: seconds */
    void (*on_progress)(void *user, size_t done, size_t total); /* NULL allowed */
    int (*stop)(void *user);                                    /* NULL allowed */
} clipc_index_twin_options;

/* Groups of pictures, by the index alone but for the pixels of those that are near; each
 * group in turn, until on returns another than CLIPC_OK, which is then returned.  A group
 * begins with the picture of most pixels, then most bytes.  Nothing is changed. */
CLIPC_API int clipc_index_twins(clipc_index *x, const char *folder,
                                const clipc_index_twin_options *options,
                                int (*on)(void *user, const clipc_index_twin *group,
                                          size_t n),
                                void *user, clipc_err *err);

/* ---- what there is ------------------------------------------------------------------
 */

typedef struct clipc_index_entry {
    const char *key;
    const char *meta;    /* NULL: none */
    const char *failed;  /* why there is no vector; NULL: there is */
    const float *vector; /* [dim]; NULL where it failed */
    double seconds;      /* from the start of a video; below 0: a picture, or it failed */
    int64_t bytes, time;
    uint32_t width, height;
} clipc_index_entry;

/* Each entry of this model in turn, in order of key, below `folder` (NULL: all), until
 * on returns another than CLIPC_OK, which is then returned. */
CLIPC_API int clipc_index_each(clipc_index *x, const char *folder,
                               int (*on)(void *user, const clipc_index_entry *e),
                               void *user, clipc_err *err);

typedef struct clipc_index_stats {
    size_t entries, failed;
    size_t dim, models; /* of this handle; that the index holds vectors of */
    uint64_t bytes;     /* of the index on the disk */
    clipc_index_approximate approximate; /* of this handle; without model */
} clipc_index_stats;

CLIPC_API int clipc_index_stats_of(clipc_index_stats *out, clipc_index *x,
                                   clipc_err *err);

typedef struct clipc_index_report {
    size_t vectors; /* checked */
    size_t bad;     /* damaged or lost */
    size_t dropped; /* repaired: of those, made again at the next update */
    int made_again; /* repaired: the catalogue was lost, so folders are to be added again;
                       what was embedded is known */
} clipc_index_report;

/* Compares all checksums of the index in `folder` (NULL: as clipc_index_open), which need
 * not be one that opens; on_bad (or NULL) is told a line for each thing that is wrong.
 * repair 1: mends what can be. */
CLIPC_API int clipc_index_verify(clipc_index_report *out, const char *folder, int repair,
                                 void (*on_bad)(void *user, const char *what), void *user,
                                 clipc_err *err);

#ifdef __cplusplus
}
#endif
#endif
