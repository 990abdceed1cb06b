/* What a student owes its teacher, against open_clip and PyTorch
 * (tests/golden/make_distill.py). */
#include "check.h"

#include <stdlib.h>

#include "golden_file.h"
#include "levels.h"
#include "train/distill.h"

static const char *const kinds[] = {[DISTILL_LOGITS] = "logits",
                                    [DISTILL_EMBEDDINGS] = "embeddings",
                                    [DISTILL_FEATURES] = "features",
                                    [DISTILL_CLASSES] = "classes"};

static float *tensor_of(const tensor_file *f, size_t B, const char *what, size_t *n)
{
    char name[96];

    snprintf(name, sizeof name, "%zu/%s", B, what);
    return golden_f32(f, name, n);
}

/* have = before + weight * want, which has all rows or every 50th; measured 8e-7. */
static void check_added(const tensor_file *f, size_t B, distill_kind kind,
                        const char *what, const float *have, float before, float weight,
                        size_t width)
{
    const size_t every = B > 64 && width > 1 ? 50 : 1;
    char name[64];
    size_t n;

    snprintf(name, sizeof name, "%s/%s", kinds[kind], what);
    float *want = tensor_of(f, B, name, &n);
    for (size_t i = 0; i < n; i++) {
        const double x = (double)before + (double)weight * (double)want[i];
        CHECK_NEAR(have[i / width * every * width + i % width], x,
                   2e-6 * (1.0 + fabs(x)));
    }
    free(want);
}

enum { E = 3, TE = 4, CLASSES = 6, MAPS = 2 * TE * E };

static float *filled(size_t n, float x)
{
    float *v = malloc(n * sizeof *v);

    for (size_t i = 0; i < n; i++) v[i] = x;
    return v;
}

static void check_kind(exec *e, const tensor_file *f, size_t B, distill_kind kind)
{
    const float before = 0.5f;
    const bool classes = kind == DISTILL_CLASSES;
    const size_t width = kind == DISTILL_EMBEDDINGS ? E : TE;
    float *img = tensor_of(f, B, "img", NULL), *scale = tensor_of(f, B, "scale", NULL);
    float *txt = tensor_of(f, B, classes ? "classes" : "txt", NULL);
    float *timg = tensor_of(f, B, width == E ? "3/timg" : "4/timg", NULL);
    float *ttxt = tensor_of(f, B, width == E ? "3/ttxt" : "4/ttxt", NULL);
    float *maps = tensor_of(f, B, "maps", NULL), *dmaps = filled(MAPS, before);
    float *dimg = filled(B * E, before), *dtxt = filled((B + CLASSES) * E, before);
    float dscale = before, loss;
    const distillation d = {.kind = kind,
                            .weight = 0.75f,
                            .classes = classes ? CLASSES : 0,
                            .E = E,
                            .teacher_E = width,
                            .maps = maps,
                            .maps_grads = dmaps};
    const distill_side student = {img, txt, scale[0]}, teacher = {timg, ttxt, scale[1]};
    arena a = arena_measure();
    distill_room room;
    clipc_err err;

    distill_room_take(&room, &a, &d, B);
    CHECK_OK(arena_new(&a, a.used, "test", &err), err);
    distill_room_take(&room, &a, &d, B);
    loss = distill_fwd_bwd(e, &d, (distill_grads){dimg, dtxt, &dscale}, &room, &student,
                           &teacher, B);
    check_added(f, B, kind, "loss", &loss, 0.0f, d.weight, 1);
    check_added(f, B, kind, "dscale", &dscale, before, d.weight, 1);
    check_added(f, B, kind, "dimg", dimg, before, d.weight, E);
    check_added(f, B, kind, "dtxt", dtxt, before, d.weight, E);
    check_added(f, B, kind, "dmaps", dmaps, before, d.weight, 1);
    arena_free(&a);
    free(img);
    free(txt);
    free(scale);
    free(timg);
    free(ttxt);
    free(maps);
    free(dmaps);
    free(dimg);
    free(dtxt);
}

/* distill: all kinds, whose gradients are added; one pair, several blocks of rows */
static void test_losses(void **state)
{
    static const size_t batches[] = {1, 7, 64, 1100};
    tensor_file *f = golden_open("tests/golden/distill");
    clipc_err err;
    exec *e;

    level_kernels(state);
    CHECK_OK(exec_new(&e, 2, 0, &err), err);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
            check_kind(e, f, batches[i], (distill_kind)kind);
    exec_free(e);
    tensor_file_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {EACH_LEVEL(test_losses)};
    return cmocka_run_group_tests_name("distill", tests, NULL, NULL);
}
