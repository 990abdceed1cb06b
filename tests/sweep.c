#include "sweep.h"

#include "check.h"

static sweep begin(void **state)
{
    const kernels *k = level_kernels(state);
    return (sweep){.k = k, .g = guard_new(), .r = rng_seed(1, 0)};
}

void sweep_lengths(void **state, void (*check)(sweep *s, size_t n))
{
    sweep s = begin(state);

    for (int side = 0; side < GUARD_SIDES; side++)
        for (size_t n = 1; n <= SWEEP_MOST; n++) {
            guard_clear(&s.g, (guard_side)side);
            check(&s, n);
        }
    guard_free(&s.g);
}

void sweep_rows(void **state, void (*check)(sweep *s, size_t N, size_t C))
{
    static const size_t some[] = {1, 2, 7, SWEEP_MOST};
    sweep s = begin(state);

    for (int side = 0; side < GUARD_SIDES; side++)
        for (size_t n = 1; n <= SWEEP_MOST; n++)
            for (size_t i = 0; i < 4; i++) {
                guard_clear(&s.g, (guard_side)side);
                check(&s, some[i], n);
                guard_clear(&s.g, (guard_side)side);
                check(&s, n, some[i]);
            }
    guard_free(&s.g);
}

float *sweep_around(sweep *s, size_t n, float mean)
{
    float *x = guard_take(&s->g, n * sizeof *x);

    rng_fill_uniform(&s->r, x, n, mean - 1.75f, mean + 1.75f);
    return x;
}

float *sweep_floats(sweep *s, size_t n)
{
    return sweep_around(s, n, 0.0f);
}

float *sweep_copy(sweep *s, const float *x, size_t n)
{
    return memcpy(guard_take(&s->g, n * sizeof *x), x, n * sizeof *x);
}

double act_double(double x, act f)
{
    switch (f) {
    case ACT_QUICK_GELU: return x / (1.0 + exp(-1.702 * x));
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ACT_RELU: return x > 0.0 ? x : 0.0;
    case ACT_RELU6: return fmin(fmax(x, 0.0), 6.0);
    case ACT_SILU: return x / (1.0 + exp(-x));
    case ACT_SIGMOID: return 1.0 / (1.0 + exp(-x));
    default: return x;
    }
}

double act_slope(double x, act f)
{
    const double h = 1e-5;
    return (act_double(x + h, f) - act_double(x - h, f)) / (2.0 * h);
}
