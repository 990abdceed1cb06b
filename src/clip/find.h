/* clip/find.h -- where a model is: a path, a name along the search path, or "org/name" in
 * the cache of Hugging Face models. */
#ifndef CLIPC_CLIP_FIND_H
#define CLIPC_CLIP_FIND_H

#include "base/file.h"

/* *out = malloc'd path of the model folder or file that `name` means; NULL or "" is the
 * bundled model, clipc-default.  CLIPC_ERR_IO says where it was looked for. */
int find_model(char **out, const char *name, clipc_err *err);
/* *out = malloc'd path of the evaluation set in the folder of a model or, where that has
 * none, of clipc-drawings. */
int find_eval(char **out, const char *model, clipc_err *err);

/* Calls on(user, folder) for the folders of the search path in turn, until it returns
 * true, and returns what it did. */
bool find_along_path(bool (*on)(void *user, const char *folder), void *user);

/* By its name; by the config in it. */
bool find_is_model_file(const char *name);
bool find_is_model_folder(const char *path);

#endif
