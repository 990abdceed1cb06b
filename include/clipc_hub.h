/* clipc_hub.h -- models by name: which are here, and fetching one from the Hugging Face
 * hub or a mirror of it into the cache that Hugging Face's own libraries use.
 *
 *     if (clipc_pull(NULL, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", NULL, &err))
 *         die(err.msg);
 *     clipc_model_open(&model, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", &err);
 *
 * Only clipc_pull uses the network; opening a model never does. */
#ifndef CLIPC_HUB_H
#define CLIPC_HUB_H

#include "clipc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A file of a model on the hub. */
typedef struct clipc_hub_file {
    const char *name;
    uint64_t size; /* bytes */
    uint64_t here; /* how many of them the cache holds already */
} clipc_hub_file;

/* Zeroed means default; NULL means all defaults. */
typedef struct clipc_pull_options {
    const char *endpoint; /* HF_ENDPOINT, else https://huggingface.co */
    const char *token;    /* HF_TOKEN, else what huggingface_hub's login left; "": none.
                             Goes to the endpoint's host alone */
    /* Globs over the names of files: the weights to fetch in place of those that clipc
     * would choose.  "*": everything. */
    const char *const *include;
    size_t n_include;
    int dry_run; /* 1: on_file hears of the files, and nothing is written */
    /* Hears of each file that will be here at the end, before the first is fetched. */
    void (*on_file)(void *user, const clipc_hub_file *file);
    /* Called several times a second; what was here before counts.  Not 0: stop, with
     * CLIPC_ERR_IO; what came is kept and the next pull goes on from there. */
    int (*on_progress)(void *user, const char *file, uint64_t done, uint64_t total);
    void *user;
} clipc_pull_options;

/* Fetches "org/name" or "org/name@revision" (a branch, a tag or a whole commit; main):
 * configs, the tokenizer's files, and one set of weights, each checked against the hub's
 * checksum.  Only when all of it is here does the model appear in the cache.  *path (NULL
 * allowed): its folder, which the caller frees; NULL after a dry run.  Refuses where
 * HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set.  HF_HUB_ETAG_TIMEOUT and
 * HF_HUB_DOWNLOAD_TIMEOUT (10 seconds each) are how long it waits for a connection, and
 * for a server that sends less than a thousand bytes a second. */
CLIPC_API int clipc_pull(char **path, const char *model,
                         const clipc_pull_options *options, clipc_err *err);

/* A model that is here; strings live as long as the call. */
typedef struct clipc_here {
    const char *name;     /* as clipc_model_open takes it */
    const char *path;     /* a folder or a file */
    const char *revision; /* cached: a branch or tag that means it, or ""; else NULL */
    const char *commit;   /* cached; else NULL */
    uint64_t size;        /* bytes on disk */
} clipc_here;

/* Every model that clipc_model_open finds by name: those along the search path, then
 * those in the cache of Hugging Face models.  `on` returns CLIPC_OK to go on. */
CLIPC_API int clipc_models_here(int (*on)(void *user, const clipc_here *model),
                                void *user, clipc_err *err);

#ifdef __cplusplus
}
#endif
#endif
