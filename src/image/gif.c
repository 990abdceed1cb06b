/* The first frame of a GIF as Pillow's GifImagePlugin opens it: indices of a palette, or
 * grey where the palette is a ramp of grey. */
#include <stdbool.h>
#include <string.h>

#include "image/image.h"

enum { TABLE = 4096, CODE_BITS = 12 };

typedef struct gif {
    const uint8_t *data;
    size_t size, at;
    const char *name;
    clipc_err *err;
    const uint8_t *palette; /* of the frame; NULL: grey */
    size_t colors;
    size_t w, h;         /* of the picture */
    size_t x, y, fw, fh; /* the frame in it */
    int transparent;     /* an index, or -1 */
    bool interlaced;
} gif;

static int bad(const gif *g, const char *why)
{
    return clipc_fail(g->err, CLIPC_ERR_FORMAT, "%s: damaged GIF: %s", g->name, why);
}

static int truncated(const gif *g)
{
    return bad(g, "file is truncated");
}

static size_t left(const gif *g)
{
    return g->size - g->at;
}

static size_t u16(const uint8_t *p)
{
    return p[0] | (size_t)p[1] << 8;
}

/* A palette is needed where it is no ramp of grey. */
static int read_palette(gif *g, uint8_t flags)
{
    const size_t colors = (size_t)2 << (flags & 7);
    const uint8_t *p = g->data + g->at;

    if (!(flags & 128)) return CLIPC_OK;
    if (left(g) < 3 * colors) return truncated(g);
    g->at += 3 * colors;
    g->palette = NULL;
    for (size_t i = 0; i < colors; i++, p += 3)
        if (p[0] != i || p[1] != i || p[2] != i)
            g->palette = g->data + g->at - 3 * colors;
    g->colors = colors;
    return CLIPC_OK;
}

/* Past an extension, of which the graphic control may name a transparent index. */
static int skip_extension(gif *g)
{
    if (left(g) < 1) return truncated(g);
    const uint8_t label = g->data[g->at++];

    for (bool first = true; left(g) >= 1; first = false) {
        const uint8_t *block = g->data + g->at;
        const size_t n = block[0];
        if (n > left(g) - 1) return truncated(g);
        g->at += 1 + n;
        if (n == 0) return CLIPC_OK;
        if (first && label == 0xf9 && n >= 4 && block[1] & 1) g->transparent = block[4];
    }
    return truncated(g);
}

/* Up to the pixels of the first frame. */
static int read_header(gif *g)
{
    int rc;

    if (g->size < 13) return truncated(g);
    g->w = u16(g->data + 6), g->h = u16(g->data + 8);
    g->at = 13;
    if ((rc = read_palette(g, g->data[10])) != CLIPC_OK) return rc;
    for (;;) {
        if (left(g) < 1 || g->data[g->at] == ';') return bad(g, "no picture in it");
        const uint8_t mark = g->data[g->at++];
        if (mark == '!' && (rc = skip_extension(g)) != CLIPC_OK) return rc;
        if (mark == ',') break;
    }
    if (left(g) < 9) return truncated(g);
    const uint8_t *p = g->data + g->at;
    g->at += 9;
    g->x = u16(p), g->y = u16(p + 2), g->fw = u16(p + 4), g->fh = u16(p + 6);
    if (g->x + g->fw > g->w) g->w = g->x + g->fw;
    if (g->y + g->fh > g->h) g->h = g->y + g->fh;
    g->interlaced = p[8] & 64;
    return read_palette(g, p[8]);
}

/* ---- LZW ---- */

/* The bits of all blocks, one after the other.  Pillow begins a block only when it is
 * there as a whole. */
typedef struct bits {
    gif *g;
    size_t block; /* bytes left of it */
    uint32_t held;
    int n;
} bits;

static int next_code(bits *b, int size)
{
    while (b->n < size) {
        gif *g = b->g;
        if (b->block) {
            b->held |= (uint32_t)g->data[g->at++] << b->n;
            b->n += 8, b->block--;
        } else {
            if (left(g) < 1 || g->data[g->at] > left(g) - 1) return -1;
            b->block = g->data[g->at++];
        }
    }
    const int code = (int)(b->held & ((1u << size) - 1));
    b->held >>= size, b->n -= size;
    return code;
}

/* Where the next pixel goes. */
typedef struct pen {
    uint8_t *px;
    const gif *g;
    size_t x, y, step;
    int pass; /* of an interlaced picture, 1 to 4; 0: rows in order */
} pen;

static bool pen_done(const pen *p)
{
    return p->y >= p->g->fh;
}

static void pen_put(pen *p, uint8_t v)
{
    const gif *g = p->g;

    p->px[(g->y + p->y) * g->w + g->x + p->x] = v;
    if (++p->x < g->fw) return;
    p->x = 0;
    p->y += p->step;
    while (p->y >= g->fh && p->pass >= 1 && p->pass < 4) {
        static const size_t first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
        p->y = first[p->pass], p->step = step[p->pass];
        p->pass++;
    }
}

typedef struct lzw {
    int clear, next, size; /* the clear code; the next free one; bits of a code */
    int last;              /* the code before, or -1 behind a clear */
    uint8_t first;         /* the first byte of what it stood for */
    uint16_t link[TABLE];
    uint8_t byte[TABLE], out[TABLE + 1];
} lzw;

/* Returns how many bytes a code stands for, at the end of t->out; 0: a broken one. */
static size_t expand(lzw *t, int code)
{
    size_t at = sizeof t->out;
    int c = code;

    if (t->last < 0) {
        if (code > t->clear) return 0;
        t->first = t->out[--at] = (uint8_t)code;
        return 1;
    }
    if (c > t->next) return 0;
    if (c == t->next) t->out[--at] = t->first, c = t->last;
    for (; c >= t->clear; c = t->link[c]) {
        if (at == 1 || c >= TABLE) return 0;
        t->out[--at] = t->byte[c];
    }
    t->first = t->out[--at] = (uint8_t)c;
    if (t->next < TABLE) {
        t->byte[t->next] = t->first;
        t->link[t->next] = (uint16_t)t->last;
        if (t->next == (1 << t->size) - 1 && t->size < CODE_BITS) t->size++;
        t->next++;
    }
    return sizeof t->out - at;
}

static int read_pixels(gif *g, uint8_t *px)
{
    bits b = {.g = g};
    pen p = {.px = px, .g = g, .step = g->interlaced ? 8 : 1, .pass = g->interlaced};
    lzw t;

    if (left(g) < 1) return truncated(g);
    const int first = g->data[g->at++];
    if (first > CODE_BITS) return bad(g, "codes of too many bits");
    t.clear = 1 << first;
    t.last = -1, t.next = t.clear + 2, t.size = first + 1;
    while (!pen_done(&p)) {
        const int code = next_code(&b, t.size);
        if (code < 0 || code == t.clear + 1) return truncated(g);
        if (code == t.clear) {
            t.last = -1, t.next = t.clear + 2, t.size = first + 1;
            continue;
        }
        const size_t n = expand(&t, code);
        if (!n) return bad(g, "a broken code");
        t.last = code;
        for (size_t i = 0; i < n && !pen_done(&p); i++)
            pen_put(&p, t.out[sizeof t.out - n + i]);
    }
    return CLIPC_OK;
}

int gif_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err)
{
    gif g = {.data = data, .size = size, .name = name, .err = err, .transparent = -1};
    int rc = read_header(&g);

    if (rc == CLIPC_OK) rc = image_check_size(g.w, g.h, max_megapixels, name, err);
    if (rc == CLIPC_OK && (!g.fw || !g.fh)) rc = bad(&g, "an empty frame");
    if (rc == CLIPC_OK)
        rc = image_alloc(out, g.w, g.h, g.palette ? IMAGE_P : IMAGE_L, name, err);
    if (rc != CLIPC_OK) return rc;
    memset(out->px, g.transparent < 0 ? 0 : g.transparent, g.w * g.h);
    for (size_t i = 0; i < 256; i++) {
        out->palette[i][3] = (int)i == g.transparent ? 0 : 255;
        if (g.palette && i < g.colors) memcpy(out->palette[i], g.palette + 3 * i, 3);
    }
    out->palette_alpha = g.palette && g.transparent >= 0;
    rc = read_pixels(&g, out->px);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}
