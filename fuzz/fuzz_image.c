/* Any bytes as a picture: what decodes is turned and preprocessed. */
#include <stdlib.h>

#include "image/preprocess.h"

/* dav1d 1.0 loses 40 bytes where libheif gives up on a damaged AVIF. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libdav1d.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    preprocess_cfg cfg = preprocess_default(16, size % 2 ? 16 : 9);
    uint8_t crop[16 * 16 * 3];
    const open_cfg open = {0.25, true, size % 7 < 3};
    resize_work work = {0};

    cfg.resize = (resize_mode)(size % 3);
    cfg.rgb_first = size % 5 == 0;
    preprocess_file(crop, &work, data, size, "fuzz", &open, &cfg, NULL);
    resize_work_free(&work);
    return 0;
}
