#include "clip/config_own.h"

#include <string.h>

typedef enum member_type { M_SIZE, M_SIZES, M_INT, M_FLOAT, M_BOOL, M_ENUM } member_type;

/* A member of a config.  Enums are int-sized and spelled by a NULL-terminated list. */
typedef struct member {
    const char *name;
    member_type type;
    size_t offset;
    const char *const *words;
} member;

static const char *const acts[] = {"none",  "quick_gelu", "gelu",    "gelu_tanh", "relu",
                                   "relu6", "silu",       "sigmoid", NULL};
static const char *const families[] = {
    "vit", "resnet", "convnext", "fastvit", "efficientnet_lite", NULL};
static const char *const fronts[] = {"patches", "mci", "vitamin", NULL};
static const char *const image_pools[] = {"tok", "avg", NULL};
static const char *const pooler_forms[] = {"coca", "siglip", NULL};
static const char *const coca_pools[] = {"one", "parallel", "cascade", NULL};
static const char *const projections[] = {"matrix", "none",     "linear", "linear_bias",
                                          "mlp",    "mlp_bias", NULL};
static const char *const text_pools[] = {"argmax", "eos", "first", "last", NULL};
static const char *const text_families[] = {"clip", "bert", NULL};
static const char *const bert_pools[] = {"mean", "cls", "pooler", NULL};

#define IMAGE(type, name)                            \
    {                                                \
#name, type, offsetof(image_cfg, name), NULL \
    }
#define IMAGE_WORD(name, words)                         \
    {                                                   \
#name, M_ENUM, offsetof(image_cfg, name), words \
    }
#define TEXT(type, name)                            \
    {                                               \
#name, type, offsetof(text_cfg, name), NULL \
    }
#define TEXT_WORD(name, words)                         \
    {                                                  \
#name, M_ENUM, offsetof(text_cfg, name), words \
    }
#define EXTRAS(of)                                                                     \
    of(M_BOOL, extras.ls), of(M_BOOL, extras.qk_norm), of(M_BOOL, extras.scale_heads), \
        of(M_BOOL, extras.scale_attn_inner), of(M_BOOL, extras.scale_attn),            \
        of(M_BOOL, extras.scale_fc), of(M_BOOL, extras.glu),                           \
        of(M_BOOL, extras.post_norm), of(M_BOOL, extras.mlp_norm)

static const member image_members[] = {
    IMAGE_WORD(family, families),
    IMAGE(M_SIZE, image_size),
    IMAGE(M_SIZE, image_width),
    IMAGE(M_SIZE, embed_dim),
    IMAGE(M_SIZE, width),
    IMAGE(M_SIZE, heads),
    IMAGE(M_SIZE, layers),
    IMAGE(M_SIZE, patch_size),
    IMAGE(M_SIZE, mlp_width),
    IMAGE(M_SIZES, stages),
    IMAGE(M_SIZES, dims),
    IMAGE(M_SIZES, mlp_dims),
    IMAGE(M_SIZE, features),
    IMAGE(M_SIZE, attention_stages),
    IMAGE(M_SIZE, squeeze_stages),
    IMAGE(M_BOOL, layer_norm),
    IMAGE_WORD(act, acts),
    IMAGE(M_FLOAT, eps),
    EXTRAS(IMAGE),
    IMAGE_WORD(front, fronts),
    IMAGE(M_BOOL, no_ln_pre),
    IMAGE(M_BOOL, no_class_token),
    IMAGE(M_BOOL, no_class_position),
    IMAGE(M_BOOL, no_positions),
    IMAGE(M_BOOL, conv1_bias),
    IMAGE_WORD(pool, image_pools),
    IMAGE(M_BOOL, ln_post_after_pool),
    IMAGE(M_BOOL, pooler),
    IMAGE_WORD(pooler_form, pooler_forms),
    IMAGE_WORD(coca_pool, coca_pools),
    IMAGE(M_SIZE, pooler_queries),
    IMAGE(M_SIZE, pooler_heads),
    IMAGE(M_SIZE, pooler_mlp_width),
    IMAGE(M_SIZE, rope_ref),
    IMAGE(M_FLOAT, rope_offset),
    IMAGE(M_BOOL, rope_xy),
    IMAGE_WORD(proj, projections),
    IMAGE(M_SIZE, head.hidden),
    IMAGE(M_SIZE, head.gate),
    IMAGE(M_SIZE, head.classes),
    IMAGE(M_SIZE, head.top),
    IMAGE(M_FLOAT, head.dropout),
    IMAGE(M_FLOAT, head.gate_shift),
};

static const member text_members[] = {
    TEXT_WORD(family, text_families),
    TEXT(M_SIZE, context_length),
    TEXT(M_SIZE, vocab_size),
    TEXT(M_SIZE, embed_dim),
    TEXT(M_SIZE, width),
    TEXT(M_SIZE, heads),
    TEXT(M_SIZE, layers),
    TEXT(M_SIZE, mlp_width),
    TEXT_WORD(act, acts),
    TEXT(M_FLOAT, eps),
    EXTRAS(TEXT),
    TEXT(M_BOOL, no_causal_mask),
    TEXT(M_BOOL, embed_cls),
    TEXT_WORD(pool, text_pools),
    TEXT(M_INT, eos_id),
    TEXT(M_INT, pad_id),
    TEXT_WORD(proj, projections),
    TEXT(M_SIZE, positions),
    TEXT(M_SIZE, types),
    TEXT(M_BOOL, roberta),
    TEXT_WORD(bert_pool, bert_pools),
    TEXT(M_SIZE, proj_hidden),
};

enum {
    IMAGE_MEMBERS = sizeof image_members / sizeof image_members[0],
    TEXT_MEMBERS = sizeof text_members / sizeof text_members[0]
};

static json_t *sizes_json(const size_t *v)
{
    json_t *list = json_array();
    size_t n = IMAGE_STAGES;

    while (n && !v[n - 1]) n--;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)v[i]));
    return list;
}

/* NULL for a zero. */
static json_t *member_json(const member *m, const void *cfg)
{
    const char *at = (const char *)cfg + m->offset;
    json_t *value = NULL;
    int number = 0;
    float real;
    bool on;

    switch (m->type) {
    case M_SIZES:
        return *(const size_t *)(const void *)at ? sizes_json((const void *)at) : NULL;
    case M_SIZE: {
        const size_t n = *(const size_t *)(const void *)at;
        return n ? json_integer((json_int_t)n) : NULL;
    }
    case M_FLOAT:
        memcpy(&real, at, sizeof real);
        return real != 0.0f ? json_real((double)real) : NULL;
    case M_BOOL: memcpy(&on, at, sizeof on); return on ? json_true() : NULL;
    case M_INT:
    case M_ENUM: memcpy(&number, at, sizeof number); break;
    }
    if (number)
        value = m->type == M_INT ? json_integer(number) : json_string(m->words[number]);
    return value;
}

static json_t *members_json(const member *m, size_t n, const void *cfg)
{
    json_t *o = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *value = member_json(&m[i], cfg);
        if (value) json_object_set_new(o, m[i].name, value);
    }
    return o;
}

static int read_sizes(size_t *to, const json_t *list, const char *name, const char *where,
                      clipc_err *err)
{
    const size_t n = json_array_size(list);

    if (list && (!json_is_array(list) || n > IMAGE_STAGES))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s is no list of up to %d", where,
                          name, IMAGE_STAGES);
    for (size_t i = 0; i < n; i++) {
        const json_int_t v = json_integer_value(json_array_get(list, i));
        if (v < 1 || v > 1 << 20)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s holds %lld", where, name,
                              (long long)v);
        to[i] = (size_t)v;
    }
    return CLIPC_OK;
}

static int read_number(int *to, const member *m, const json_t *value, const char *where,
                       clipc_err *err)
{
    const char *word = json_string_value(value);

    for (int i = 0; word && m->words && m->words[i]; i++)
        if (strcmp(m->words[i], word) == 0) return *to = i, CLIPC_OK;
    if (!m->words && json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) < 1 << 24)
        return *to = (int)json_integer_value(value), CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: not a value of it", where, m->name);
}

static int read_member(void *cfg, const member *m, const json_t *o, const char *where,
                       clipc_err *err)
{
    char *at = (char *)cfg + m->offset;
    const json_t *value = json_object_get(o, m->name);
    int number = 0, rc;

    if (!value) return CLIPC_OK;
    switch (m->type) {
    case M_SIZE: return json_get_size((size_t *)(void *)at, o, m->name, where, err);
    case M_SIZES: return read_sizes((size_t *)(void *)at, value, m->name, where, err);
    case M_FLOAT: return json_get_f32((float *)(void *)at, o, m->name, where, err);
    case M_BOOL: return json_get_bool((bool *)(void *)at, o, m->name, where, err);
    default: break;
    }
    rc = read_number(&number, m, value, where, err);
    if (rc == CLIPC_OK) memcpy(at, &number, sizeof number);
    return rc;
}

static int read_members(void *cfg, const member *m, size_t n, const json_t *o,
                        const char *where, clipc_err *err)
{
    const char *known[(int)IMAGE_MEMBERS + TEXT_MEMBERS + 1] = {NULL};
    int rc;

    for (size_t i = 0; i < n; i++) known[i] = m[i].name;
    rc = json_check_keys(o, known, where, err);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = read_member(cfg, &m[i], o, where, err);
    return rc;
}

json_t *own_image_json(const image_cfg *c)
{
    return members_json(image_members, IMAGE_MEMBERS, c);
}

json_t *own_text_json(const text_cfg *c)
{
    return members_json(text_members, TEXT_MEMBERS, c);
}

int own_image_read(image_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    *c = (image_cfg){0};
    return read_members(c, image_members, IMAGE_MEMBERS, o, where, err);
}

int own_text_read(text_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    *c = (text_cfg){0};
    return read_members(c, text_members, TEXT_MEMBERS, o, where, err);
}
