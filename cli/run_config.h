/* cli/run_config.h -- the config of a run: a file, the options over it, and what a run
 * that goes on cannot change. */
#ifndef CLIPC_CLI_RUN_CONFIG_H
#define CLIPC_CLI_RUN_CONFIG_H

#include "base/json.h"

/* *text = the JSON of the config in `path` (NULL: of none) with `given` over it, where
 * paths hold from any working directory; malloc'd.  own: NULL, or the config that the run
 * to go on with began with (it need not be there): CLIPC_ERR_ARG names a key that shapes
 * what is learned and is another there.  `given` may be changed. */
int run_config_make(char **text, const char *path, const char *own, json_t *given,
                    clipc_err *err);

#endif
