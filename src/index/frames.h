/* index/frames.h -- videos in the index.
 *
 * A video's item is its first picture: it has the file's key, and the hash of the file's
 * bytes is that of its vector.  The other pictures that were taken out of it are items of
 * their own: their keys are the file's, a NUL and the place in milliseconds, so that they
 * follow it in the order of keys; their hashes are made of the file's and the place. */
#ifndef CLIPC_INDEX_FRAMES_H
#define CLIPC_INDEX_FRAMES_H

#include "index/batch.h"

/* Seconds from the start of the video; -1: the item is no video's. */
double frames_seconds(const store_item *it);
/* Whether the item is a later picture of a video, and so no file's. */
bool frames_is_later(const store_item *it);

/* Takes the pictures of a video into the index as one write, or the reason why there are
 * none; those that it had before go.  Known are those of a video of the same bytes.
 *   f   key is the path, the rest zeroed; the result, as batch_read's and batch_encode's
 *   o   every, and stop, which ends it without a change: state is then BATCH_BUSY */
int frames_update(batch_file *f, clipc_index *x, clipc_ctx *ctx,
                  const clipc_index_update_options *o, clipc_err *err);

#endif
