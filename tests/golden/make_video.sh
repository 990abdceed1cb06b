#!/bin/sh
# Videos of three seconds, small enough to keep: red, green and blue with a shape, a second each, eight frames.
# Writes tests/golden/video/: them, the frames at 0, 1 and 2 seconds that the ffmpeg program takes out of each
# (FILE.1.png ..), where its scdet filter sees a change (scenes.txt), and two that are cut off.
# usage: sh tests/golden/make_video.sh      (from the project's root; ffmpeg 5.1)
set -eu
cd tests/golden/video
rm -f ./*
make() { # make FILE OPTIONS...
    out=$1
    shift
    ffmpeg -v error \
        -f lavfi -i 'color=c=0xc03020:s=64x48:r=8:d=1,drawbox=8:8:20:20:0x2040c0:fill' \
        -f lavfi -i 'color=c=0x20b040:s=64x48:r=8:d=1,drawbox=30:0:8:48:white:fill' \
        -f lavfi -i 'color=c=0x3050d0:s=64x48:r=8:d=1,drawbox=0:30:64:10:black:fill' \
        -filter_complex '[0][1][2]concat=n=3:v=1,format=yuv420p' -bitexact "$@" "$out"
}
make cuts.mp4 -c:v libx264 -preset veryslow -crf 20
make cuts.mkv -c:v mpeg4 -q:v 3 -g 100
make cuts.webm -c:v libvpx -b:v 60k
ffmpeg -v error -i cuts.mp4 -c copy -bitexact -metadata:s:v rotate=90 turned.mp4
for name in cuts.mp4 cuts.mkv cuts.webm turned.mp4; do
    ffmpeg -v error -i $name -vf "select='not(mod(n,8))'" -vsync passthrough -pix_fmt rgb24 $name.%d.png
done
ffmpeg -v error -i cuts.mp4 -vf scdet=t=10,metadata=print:key=lavfi.scd.time:file=- -f null - |
    sed -n 's/^lavfi.scd.time=//p' >scenes.txt
head -c 1500 cuts.mp4 >cut_off.mp4
head -c 1600 cuts.mkv >cut_off.mkv
