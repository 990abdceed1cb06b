#include "task/checkup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clip/find.h"

enum { FEW = 3 };

void checkup_say(checkup *c, int severity, const char *check, const char *fmt, ...)
{
    clipc_finding f = {.check = check, .severity = severity};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f.message, sizeof f.message, fmt, ap);
    va_end(ap);
    err_one_line(f.message);
    c->sum->found[severity]++;
    if (c->on) c->on(c->user, &f);
}

void few_add(few *f, const char *name)
{
    const size_t at = strlen(f->text);

    if (f->n++ < FEW)
        snprintf(f->text + at, sizeof f->text - at, "%s%.90s", at ? ", " : "", name);
}

const char *few_text(few *f)
{
    const size_t at = strlen(f->text);

    if (f->n > FEW)
        snprintf(f->text + at, sizeof f->text - at, " and %zu more", f->n - FEW);
    return f->text;
}

/* What can be told of the files without running anything. */
static int check_files(checkup *c, const char *path, clipc_err *err)
{
    model_source s = {0};
    net *n = NULL;
    clipc_err why;
    int rc = source_open(&s, path, &why);

    if (rc == CLIPC_OK) rc = net_shape(&n, &s.cfg, TOWER_EVAL, &why);
    if (rc != CLIPC_OK) {
        checkup_say(c, CLIPC_FOUND_PROBLEM, "opening", "%s", why.msg);
        c->broken = true;
        rc = rc == CLIPC_ERR_MEMORY ? clipc_fail(err, rc, "%s", why.msg) : CLIPC_OK;
    } else {
        checkup_say(c, CLIPC_FOUND_OK, "opening", "%s: %s, config by %s", s.path,
                    s.format, s.config_by);
        rc = checkup_tensors(c, n, &s, err);
        if (rc == CLIPC_OK) rc = checkup_config(c, &s, err);
    }
    net_free(n);
    source_close(&s);
    return rc;
}

static int check_running(checkup *c, const char *path, clipc_err *err)
{
    clipc_model *m;
    clipc_err why;
    int rc = clipc_model_open(&m, path, &why);

    if (rc == CLIPC_ERR_MEMORY) return clipc_fail(err, rc, "%s", why.msg);
    if (rc != CLIPC_OK) {
        checkup_say(c, CLIPC_FOUND_PROBLEM, "opening", "%s", why.msg);
        return CLIPC_OK;
    }
    rc = checkup_run(c, m, err);
    clipc_model_free(m);
    return rc;
}

int clipc_check_model(clipc_checkup *out, const char *path,
                      const clipc_check_options *options,
                      void (*on_finding)(void *user, const clipc_finding *f), void *user,
                      clipc_err *err)
{
    checkup c = {.sum = out, .on = on_finding, .user = user, .threads = 1};
    char *found = NULL;
    clipc_err why;
    int rc = kernels_pick(&c.k, err);

    *out = (clipc_checkup){0};
    if (rc != CLIPC_OK) return rc;
    if (options && options->threads) c.threads = options->threads;
    if (find_model(&found, path, &why) != CLIPC_OK) {
        checkup_say(&c, CLIPC_FOUND_PROBLEM, "opening", "%s", why.msg);
        return CLIPC_OK;
    }
    rc = check_files(&c, found, err);
    if (rc == CLIPC_OK && !c.broken && !(options && options->files_only))
        rc = check_running(&c, found, err);
    free(found);
    return rc;
}
