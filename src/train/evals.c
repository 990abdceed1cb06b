#include "train/evals.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "clip/model.h"

void eval_list_free(eval_list *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->paths[i]);
    free(l->paths);
    *l = (eval_list){0};
}

static int add_path(eval_list *l, const char *path, const char *dir, const char *where,
                    clipc_err *err)
{
    if (!path)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"eval\" holds what is no path",
                          where);
    l->paths[l->n] = dir && *path != '/' ? path_join(dir, path) : strdup(path);
    if (!l->paths[l->n]) return clipc_fail_memory(err, where, strlen(path));
    return clipc_eval_check(l->paths[l->n++], NULL, err);
}

int eval_list_parse(eval_list *l, const json_t *eval, const char *dir, const char *where,
                    clipc_err *err)
{
    const size_t n = json_is_array(eval) ? json_array_size(eval) : 1;
    int rc = CLIPC_OK;

    *l = (eval_list){0};
    if (!eval || n == 0) return CLIPC_OK;
    l->paths = calloc(n, sizeof *l->paths);
    if (!l->paths) return clipc_fail_memory(err, where, n * sizeof *l->paths);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const json_t *path = json_is_array(eval) ? json_array_get(eval, i) : eval;
        rc = add_path(l, json_string_value(path), dir, where, err);
    }
    return rc;
}

int eval_list_bytes(size_t *bytes, const eval_list *l, const net *n, const tokenizer *t,
                    size_t threads, clipc_err *err)
{
    *bytes = 0;
    return l->n ? model_of_net_bytes(bytes, n, t, threads, err) : CLIPC_OK;
}

int eval_list_run(const eval_list *l, const net *n, const tokenizer *t, size_t threads,
                  run_log *log, size_t step, clipc_trainer_on_eval *on_result, void *user,
                  clipc_err *err)
{
    const clipc_ctx_options options = {.threads = threads};
    clipc_model *m = NULL;
    clipc_ctx *c = NULL;
    int rc = model_of_net(&m, n, t, err);

    if (rc == CLIPC_OK) rc = clipc_ctx_new(&c, m, &options, err);
    for (size_t i = 0; rc == CLIPC_OK && i < l->n; i++) {
        clipc_eval_result r;
        clipc_err why;
        if (clipc_eval(&r, c, l->paths[i], NULL, &why) != CLIPC_OK) {
            on_result(user, NULL, &why);
            continue;
        }
        on_result(user, &r, NULL);
        rc = run_log_eval(log, step, &r, err);
    }
    clipc_ctx_free(c);
    clipc_model_free(m);
    return rc;
}
