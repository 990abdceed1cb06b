/* clip/find.h -- where a model is: a path, or a name along the search path. */
#ifndef CLIPC_CLIP_FIND_H
#define CLIPC_CLIP_FIND_H

#include "base/file.h"

/* *out = malloc'd path of the model folder that `name` means; NULL or "" is the bundled
 * model.  CLIPC_ERR_IO says where it was looked for. */
int find_model(char **out, const char *name, clipc_err *err);
/* *out = malloc'd path of the evaluation set in the folder of a model or, where that has
 * none, of the bundled model. */
int find_eval(char **out, const char *model, clipc_err *err);

#endif
