#include "train/ema.h"

#include <math.h>
#include <string.h>

enum { PIECE = 1 << 15 };

int ema_make(net **out, const net *n, clipc_err *err)
{
    return net_make(out, &n->cfg, TOWER_EVAL, err);
}

void ema_begin(net *ema, const net *n)
{
    memcpy(ema->mem.mem, n->mem.mem, n->params.floats * sizeof(float));
}

typedef struct ema_job {
    float *to;
    const float *from;
    float share; /* of the new weights */
} ema_job;

static void ema_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const ema_job *j = arg;

    (void)thread;
    for (size_t i = begin; i < end; i++) j->to[i] += j->share * (j->from[i] - j->to[i]);
}

void ema_update(net *ema, exec *e, const net *n, float decay, size_t step)
{
    const float warm = (float)(step + 1) / (float)(step + 10);
    ema_job j = {(float *)(void *)ema->mem.mem, (const float *)(const void *)n->mem.mem,
                 1.0f - fminf(decay, warm)};

    exec_range(e, ema_piece, &j, n->params.floats, PIECE);
}
