#include "train/run_log.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* Drops the lines of steps behind `last`. */
static int trim(run_log *l, size_t last, clipc_err *err)
{
    const char *path = l->path;
    buf b = {0};
    size_t keep = 0;
    int rc = file_exists(path) ? file_read(&b, path, (size_t)1 << 30, err) : CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < b.len;) {
        const char *nl = memchr(b.data + i, '\n', b.len - i);
        size_t step = 0;
        char key[16] = "";
        if (!nl || sscanf(b.data + i, "{\"step\":%zu,\"%15[a-z_0-9]", &step, key) < 1 ||
            step > last)
            break;
        if (strcmp(key, "val_top1") == 0) l->val_step = step;
        if (strcmp(key, "eval") == 0) l->eval_step = step;
        keep = i = (size_t)(nl - b.data) + 1;
    }
    if (rc == CLIPC_OK && keep < b.len) rc = file_replace(path, b.data, keep, err);
    buf_free(&b);
    return rc;
}

static int cannot_write(const run_log *l, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot write the log: %s", l->path,
                      strerror(errno));
}

int run_log_open(run_log *l, const char *folder, bool resume, size_t step, clipc_err *err)
{
    int rc = CLIPC_OK;

    *l = (run_log){.path = path_join(folder, "log.jsonl")};
    if (!l->path) return clipc_fail_memory(err, folder, 0);
    if (resume) rc = trim(l, step, err);
    if (rc != CLIPC_OK) return rc;
    l->file = fopen(l->path, resume ? "a" : "w");
    return l->file ? CLIPC_OK : cannot_write(l, err);
}

void run_log_close(run_log *l)
{
    if (l->file) fclose(l->file);
    free(l->path);
    *l = (run_log){0};
}

static int flush(const run_log *l, clipc_err *err)
{
    return fflush(l->file) == 0 ? CLIPC_OK : cannot_write(l, err);
}

int run_log_begin(const run_log *l, size_t step, size_t steps, size_t batch,
                  clipc_err *err)
{
    fprintf(l->file,
            "{\"step\":%zu,\"steps\":%zu,\"batch\":%zu,\"units\":{\"loss\":\"nats\","
            "\"logit_scale\":\"1\",\"lr\":\"1\",\"grad_norm\":\"1\","
            "\"images_per_second\":\"1/s\",\"waited\":\"1\",\"skipped\":\"steps\","
            "\"broken\":\"samples\",\"val_top1\":\"1\",\"val_top5\":\"1\",\"i2t\":\"1\","
            "\"t2i\":\"1\",\"ema_val_top1\":\"1\",\"ema_val_top5\":\"1\","
            "\"ema_i2t\":\"1\",\"ema_t2i\":\"1\",\"top1\":\"1\",\"top5\":\"1\",\"image_"
            "to_text\":\"1\","
            "\"text_to_image\":\"1\",\"C\":\"1\",\"seconds\":\"s\"}}\n",
            step, steps, batch);
    return flush(l, err);
}

/* null where x is no number, which JSON cannot say. */
static const char *real(char text[32], double x)
{
    if (!isfinite(x)) return "null";
    snprintf(text, 32, "%.9g", x);
    return text;
}

int run_log_step(const run_log *l, const clipc_train_stats *s, clipc_err *err)
{
    char loss[32], norm[32];

    fprintf(
        l->file,
        "{\"step\":%zu,\"loss\":%s,\"logit_scale\":%.7g,\"lr\":%.7g,\"grad_norm\":%s,"
        "\"images_per_second\":%.1f,\"waited\":%.3f,\"skipped\":%zu,\"broken\":%zu}\n",
        s->step, real(loss, s->loss), s->logit_scale, s->lr, real(norm, s->grad_norm),
        s->images_per_second, s->waited, s->skipped, s->broken);
    return flush(l, err);
}

int run_log_broken(const run_log *l, size_t step, const char *why, clipc_err *err)
{
    json_t *text = json_text(why);
    char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    json_decref(text);
    if (!quoted) return clipc_fail_memory(err, l->path, strlen(why));
    fprintf(l->file, "{\"step\":%zu,\"broken_sample\":%s}\n", step, quoted);
    free(quoted);
    return flush(l, err);
}

/* With `of` in front of each name: "ema_". */
static void print_val(const run_log *l, const char *of, const char *top,
                      const clipc_val_stats *s)
{
    const double *i2t = s->image_to_text, *t2i = s->text_to_image;

    fprintf(l->file,
            ",\"%stop1\":%.5f,\"%stop5\":%.5f,\"%si2t\":[%.5f,%.5f,%.5f],"
            "\"%st2i\":[%.5f,%.5f,%.5f]",
            top, s->top1, top, s->top5, of, i2t[0], i2t[1], i2t[2], of, t2i[0], t2i[1],
            t2i[2]);
}

int run_log_val(run_log *l, size_t step, const clipc_val_stats *s,
                const clipc_val_stats *averaged, clipc_err *err)
{
    fprintf(l->file, "{\"step\":%zu", step);
    print_val(l, "", "val_", s);
    if (averaged) print_val(l, "ema_", "ema_val_", averaged);
    fprintf(l->file, "}\n");
    l->val_step = step;
    return flush(l, err);
}

static json_t *parts(const double recall[3])
{
    return json_pack("[f,f,f]", recall[0], recall[1], recall[2]);
}

int run_log_eval(run_log *l, size_t step, const clipc_eval_result *r, clipc_err *err)
{
    json_t *o =
        json_pack("{s:I,s:s,s:s,s:I,s:I,s:f}", "step", (json_int_t)step, "eval", r->name,
                  "task", clipc_eval_task(r->task), "pictures", (json_int_t)r->pictures,
                  "failed", (json_int_t)r->failed, "seconds", r->seconds);
    json_t *more = r->task == CLIPC_EVAL_RETRIEVAL
                       ? json_pack("{s:I,s:o,s:o}", "captions", (json_int_t)r->captions,
                                   "image_to_text", parts(r->image_to_text),
                                   "text_to_image", parts(r->text_to_image))
                       : json_pack("{s:I,s:f,s:f}", "classes", (json_int_t)r->classes,
                                   "top1", r->top1, "top5", r->top5);
    int rc = o && more && json_object_update(o, more) == 0
                 ? CLIPC_OK
                 : clipc_fail_memory(err, l->path, 0);

    if (rc == CLIPC_OK && r->task == CLIPC_EVAL_LINEAR_PROBE)
        rc = json_object_set_new(o, "C", json_real(r->C)) ||
                     json_object_set_new(o, "trained_on",
                                         json_integer((json_int_t)r->trained_on))
                 ? clipc_fail_memory(err, l->path, 0)
                 : CLIPC_OK;
    if (rc == CLIPC_OK) {
        l->eval_step = step;
        json_dumpf(o, l->file, JSON_COMPACT | JSON_REAL_PRECISION(6));
        fputc('\n', l->file);
        rc = flush(l, err);
    }
    json_decref(more);
    json_decref(o);
    return rc;
}
