#include "text/nfc.h"

enum { N_CLASSES = 255, DECOMPOSED = 8 /* canonical decompositions have at most 4 */ };

static unsigned combining_class(rune c)
{
    return c < 0x300 ? 0 : (unsigned)utf8proc_get_property(c)->combining_class;
}

/* Nothing before the first combining mark composes or decomposes. */
static bool is_composed(const runes *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i] >= 0x300) return false;
    return true;
}

static int decompose(runes *out, const runes *in, clipc_err *err)
{
    int boundary = 0, rc = CLIPC_OK;
    rune parts[DECOMPOSED];

    out->n = 0;
    for (size_t i = 0; rc == CLIPC_OK && i < in->n; i++) {
        const utf8proc_ssize_t n = utf8proc_decompose_char(
            in->v[i], parts, DECOMPOSED, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        rc = runes_add(out, parts, (size_t)n, err);
    }
    return rc;
}

/* Sorts marks by class and keeps the order of those of one class; out has room for n. */
static void sort_marks(rune *out, rune *v, size_t n)
{
    size_t place[N_CLASSES] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++) place[combining_class(v[i])]++;
    for (size_t k = 0; k < N_CLASSES; k++) {
        const size_t many = place[k];
        place[k] = sum;
        sum += many;
    }
    for (size_t i = 0; i < n; i++) out[place[combining_class(v[i])]++] = v[i];
    for (size_t i = 0; i < n; i++) v[i] = out[i];
}

int nfc_compose(runes *text, runes *scratch, clipc_err *err)
{
    int rc;

    if (is_composed(text)) return CLIPC_OK;
    if ((rc = decompose(scratch, text, err)) != CLIPC_OK) return rc;
    text->n = 0;
    if ((rc = runes_reserve(text, scratch->n, err)) != CLIPC_OK) return rc;
    for (size_t i = 0, end; i < scratch->n; i = end) {
        bool sorted = true;
        for (end = i + 1; end < scratch->n && combining_class(scratch->v[end]); end++)
            if (combining_class(scratch->v[end]) < combining_class(scratch->v[end - 1]))
                sorted = false;
        /* The first is a starter, or the text begins with a mark. */
        if (!sorted) sort_marks(text->v, scratch->v + i, end - i);
    }
    text->n = (size_t)utf8proc_normalize_utf32(scratch->v, (utf8proc_ssize_t)scratch->n,
                                               UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    for (size_t i = 0; i < text->n; i++) text->v[i] = scratch->v[i];
    return CLIPC_OK;
}
