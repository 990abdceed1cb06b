#include "io/any_file.h"

#include <string.h>

#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

enum { PARTS_MAX = 1024 };

static int open_one(tensor_file **out, const char *path, clipc_err *err)
{
    span bytes;
    int rc = file_map(&bytes, path, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    const bool gguf = gguf_is(bytes.data, bytes.size);
    const bool torch = torch_is(bytes.data, bytes.size);
    /* A zip that is cut short has no directory; the reader says so. */
    const bool zip = bytes.size > 4 && memcmp(bytes.data, "PK\3\4", 4) == 0;
    const bool header = bytes.size > 8 && bytes.data[8] == '{';
    file_unmap(&bytes);
    if (!gguf && !torch && !zip && !header)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: no model: neither safetensors nor PyTorch nor GGUF", path);
    return gguf           ? gguf_open(out, path, err)
           : torch || zip ? torch_open(out, path, err)
                          : safetensors_open(out, path, err);
}

/* Adds one file of an index, in the folder of the index. */
static int add_named(tensor_file *f, const char *name, const char *index_path,
                     clipc_err *err)
{
    const size_t dir_len = (size_t)(path_base(index_path) - index_path);
    tensor_file *part = NULL;
    buf full = {0};
    int rc = buf_add(&full, index_path, dir_len, err);

    if (rc == CLIPC_OK) rc = buf_puts(&full, name, err);
    if (rc == CLIPC_OK) rc = open_one(&part, full.data, err);
    if (rc == CLIPC_OK) rc = tensor_file_join(f, part, "", full.data, err);
    buf_free(&full);
    return rc;
}

/* All files that an index's weight_map names; each must be a plain name. */
static int add_all(tensor_file *f, json_t *map, const char *path, clipc_err *err)
{
    json_t *seen = json_object(), *value;
    const char *key;
    int rc = seen ? CLIPC_OK : clipc_fail_memory(err, path, 0);

    json_object_foreach(map, key, value)
    {
        const char *name = json_string_value(value);
        if (rc != CLIPC_OK) break;
        if (!name || !*name || strchr(name, '/') || name[0] == '.') {
            rc =
                clipc_fail(err, CLIPC_ERR_FORMAT,
                           "%s: tensor %.64s: its file is no plain file name", path, key);
        } else if (!json_object_get(seen, name)) {
            if (json_object_size(seen) == PARTS_MAX)
                rc = clipc_fail(err, CLIPC_ERR_LIMIT, "%s: more than %d files", path,
                                PARTS_MAX);
            else rc = add_named(f, name, path, err);
            json_object_set_new(seen, name, json_true());
        }
    }
    json_decref(seen);
    return rc;
}

static int add_index(tensor_file *f, span bytes, const char *path, clipc_err *err)
{
    json_t *index = NULL, *map = NULL;
    int rc = json_parse(&index, (const char *)bytes.data, bytes.size, path, err);

    if (rc == CLIPC_OK && !json_is_object(map = json_object_get(index, "weight_map")))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no weight_map", path);
    if (rc == CLIPC_OK) rc = add_all(f, map, path, err);
    json_decref(index);
    return rc;
}

int any_file_open(tensor_file **out, const char *path, clipc_err *err)
{
    const char *tail = ".index.json";
    const size_t len = strlen(path), tail_len = strlen(tail);

    if (len > tail_len && strcmp(path + len - tail_len, tail) == 0)
        return tensor_file_open(out, path, add_index, err);
    return open_one(out, path, err);
}
