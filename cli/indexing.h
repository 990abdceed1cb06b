/* cli/indexing.h -- what the commands that use an index share: their options, opening it,
 * and bringing it up to date. */
#ifndef CLIPC_CLI_INDEXING_H
#define CLIPC_CLI_INDEXING_H

#include "cli/session.h"
#include "clipc_index.h"

/* Where the index is. */
#define PLACE_OPTS                                                                 \
    {"index", 'i', "DIR", "the index (clipc/ in the user's data folder)"},         \
    {                                                                              \
        "store", 0, "URL", "the index is in PostgreSQL: postgresql://USER@HOST/DB" \
    }

/* First rows of an option table: whose vectors, and where. */
#define WHOSE_OPTS                                                              \
    MODEL_OPTS, PRECISION_OPTS, PLACE_OPTS,                                     \
    {                                                                           \
        "as-stored", 0, NULL, "do not turn pictures upright as their EXIF says" \
    }

/* The same, of commands that look for pictures. */
#define INDEXING_OPTS                                                                 \
    WHOSE_OPTS, {"hidden", 0, NULL, "files and folders that begin with a dot, too"},  \
        {"one-file-system", 0, NULL, "not what lies on other file systems"},          \
    {                                                                                 \
        "exclude", 'x', "GLOB", "not what has such a name, or path below; repeatable" \
    }

/* And of those that take videos, too. */
#define VIDEO_OPTS                                                          \
    {"videos", 0, NULL, "videos, too: pictures out of them"},               \
    {                                                                       \
        "every", 0, "SECONDS", "between those, beside changes of scene (5)" \
    }

typedef struct indexing {
    session s;
    const char *folder; /* of the index, or its address */
    clipc_index *x;
    clipc_index_update_options update;
    strings exclude;
    progress progress;
    bool quiet;     /* failures are counted, not told */
    bool read_only; /* there must be an index already */
} indexing;

indexing indexing_start(const char *command);
/* As session_option. */
int indexing_option(indexing *g, const char *name, const char *value);
/* Opens the model and the index for its vectors; errors in g->s.err. */
int indexing_open(indexing *g);
void indexing_close(indexing *g);

/* Brings the index up to what lies at path (NULL: in all remembered folders), with a
 * progress line, telling what fails. */
int indexing_update(indexing *g, const char *path, clipc_index_changes *out);

/* "  0:01:25", how far into a video, or "" of a picture; until the next call. */
const char *place_in_video(double seconds);
/* Says that the update was stopped; returns EXIT_STOPPED. */
int indexing_stopped(void);

/* path below the working folder if that holds it, else as it is; shown to people. */
const char *path_from_here(const char *path);

#endif
