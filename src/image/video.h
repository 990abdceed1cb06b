/* image/video.h -- pictures out of a video, by FFmpeg's libraries: one every so many
 * seconds, and one at each change of scene.
 *
 * A scene changes where two frames that follow each other differ as FFmpeg's scdet filter
 * has it: by 10 % of all that grey can differ, and so much more than the two before.
 * Every frame of the video is decoded for that. */
#ifndef CLIPC_IMAGE_VIDEO_H
#define CLIPC_IMAGE_VIDEO_H

#include "image/image.h"

typedef struct video video;

typedef struct video_options {
    double every; /* seconds, above 0 */
    double max_megapixels;
    size_t threads;
} video_options;

/* Opens a file, of which nothing is trusted: it can lead to no other, and frames larger
 * than max_megapixels are none.  Not a video: CLIPC_ERR_FORMAT.  Libraries that are not
 * there: CLIPC_ERR_FEATURE or CLIPC_ERR_IO.  Free with video_free. */
int video_open(video **out, const char *path, const video_options *o, clipc_err *err);
void video_free(video *v);

/* The next picture, IMAGE_RGB and upright, and at how many seconds from the start it is
 * shown; the first frame is the first.  *end true: there is no more, and *out is empty.
 * What is damaged is passed over; CLIPC_ERR_FORMAT where not one frame can be decoded.
 * image_free it. */
int video_next(image *out, double *seconds, bool *end, video *v, clipc_err *err);

#endif
