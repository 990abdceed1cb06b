#include <stdlib.h>

#include "base/file.h"
#include "train/checkpoint.h"
#include "train/history.h"
#include "train/run_lock.h"

int clipc_train_status(clipc_train_state *out, const char *folder, clipc_err *err)
{
    char *checkpoints = path_join(folder, "checkpoints");
    int64_t step;
    history h;
    int rc =
        checkpoints ? history_read(&h, folder, err) : clipc_fail_memory(err, folder, 0);

    if (rc == CLIPC_OK) {
        *out = h.last;
        out->process = run_lock_owner(folder);
        out->checkpoints = checkpoint_count(&out->checkpoint_bytes, &step, checkpoints);
        out->checkpoint_step = step > 0 ? (size_t)step : 0;
        history_free(&h);
    }
    free(checkpoints);
    return rc;
}
