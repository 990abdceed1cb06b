/* RAW photographs through libraw: not the sensor's pixels, but the largest JPEG that the
 * camera put beside them, upright.  Which way up it is its own EXIF says, or if it has
 * none, as dcraw -e writes it, the photograph's. */
#include "image/raw.h"

#include "image/image.h"

#ifdef CLIPC_HAVE_RAW

#include <errno.h>
#include <libraw/libraw.h>
#include <string.h>
#include <time.h>

#include "base/dynlib.h"
#include "image/orient.h"

#define FUNCTIONS(X)                 \
    X(libraw_adjust_sizes_info_only) \
    X(libraw_close)                  \
    X(libraw_init)                   \
    X(libraw_open_buffer)            \
    X(libraw_set_dataerror_handler)  \
    X(libraw_strerror)               \
    X(libraw_unpack_thumb)

static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;

/* The number in the name of a library whose structs are those of the header; _r: any
 * thread may call. */
#define TEXT_OF(x) #x
#define NAMED(n)   "libraw_r.so." TEXT_OF(n)
static dynlib library = DYNLIB(NAMED(LIBRAW_SHLIB_CURRENT), FUNCTIONS, lib);

static int bad(int code, const char *name, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: RAW: %s", name,
                      code > 0 ? strerror(code) : lib.libraw_strerror(code));
}

/* Sizes and places, no pixels.  *out is for libraw_close, if not NULL. */
static int open_raw(libraw_data_t **out, const uint8_t *data, size_t size,
                    const char *name, clipc_err *err)
{
    int rc = dynlib_need(&library, name, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    *out = lib.libraw_init(0);
    if (!*out) return clipc_fail_memory(err, name, 0);
    lib.libraw_set_dataerror_handler(*out, NULL, NULL); /* its own prints */
    /* libraw only reads it */
    rc = lib.libraw_open_buffer(*out, (void *)(uintptr_t)data, size);
    return rc == LIBRAW_SUCCESS ? CLIPC_OK : bad(rc, name, err);
}

static int unpack_preview(libraw_data_t *raw, size_t size, const char *name,
                          clipc_err *err)
{
    if (raw->thumbnail.tlength > size)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: RAW: a preview of %u bytes in a file of %zu", name,
                          raw->thumbnail.tlength, size);
    const int rc = lib.libraw_unpack_thumb(raw);
    if (rc == LIBRAW_NO_THUMBNAIL || rc == LIBRAW_UNSUPPORTED_THUMBNAIL ||
        (rc == LIBRAW_SUCCESS && raw->thumbnail.tformat != LIBRAW_THUMBNAIL_JPEG))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: a RAW photograph without a JPEG preview", name);
    return rc == LIBRAW_SUCCESS ? CLIPC_OK : bad(rc, name, err);
}

static int orientation_of(const libraw_data_t *raw, const uint8_t *jpeg, size_t size)
{
    static const char flips[] = "12435867"; /* libraw's flip to EXIF's Orientation */
    size_t n;

    return exif_of_file(&n, jpeg, size) ? orient_of_file(jpeg, size)
                                        : flips[raw->sizes.flip & 7] - '0';
}

int raw_decode(image *out, const uint8_t *data, size_t size, const char *name,
               size_t enough, double max_megapixels, clipc_err *err)
{
    libraw_data_t *raw;
    int rc = open_raw(&raw, data, size, name, err);

    if (rc == CLIPC_OK) rc = unpack_preview(raw, size, name, err);
    if (rc == CLIPC_OK) {
        const uint8_t *jpeg = (const uint8_t *)raw->thumbnail.thumb;
        const size_t n = raw->thumbnail.tlength;
        rc = jpeg_decode(out, jpeg, n, name, enough, max_megapixels, err);
        if (rc == CLIPC_OK)
            rc = image_orient(out, orientation_of(raw, jpeg, n), name, err);
        if (rc != CLIPC_OK) image_free(out);
    }
    if (raw) lib.libraw_close(raw);
    return rc;
}

image_facts raw_facts(const uint8_t *data, size_t size)
{
    image_facts f = {0};
    libraw_data_t *raw;
    struct tm t;

    if (open_raw(&raw, data, size, "", NULL) == CLIPC_OK &&
        lib.libraw_adjust_sizes_info_only(raw) == LIBRAW_SUCCESS) {
        f.orientation = 1;
        f.width = raw->sizes.iwidth;
        f.height = raw->sizes.iheight;
        /* libraw took the camera's date for local time. */
        if (raw->other.timestamp > 0 && localtime_r(&raw->other.timestamp, &t))
            strftime(f.taken, sizeof f.taken, "%Y:%m:%d %H:%M:%S", &t);
    }
    if (raw) lib.libraw_close(raw);
    return f;
}

#else

int raw_decode(image *out, const uint8_t *data, size_t size, const char *name,
               size_t enough, double max_megapixels, clipc_err *err)
{
    (void)out, (void)data, (void)size, (void)enough, (void)max_megapixels;
    return image_lacks(name, "RAW", "libraw", err);
}

image_facts raw_facts(const uint8_t *data, size_t size)
{
    (void)data, (void)size;
    return (image_facts){0};
}

#endif
