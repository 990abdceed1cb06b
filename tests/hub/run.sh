#!/bin/sh
# pull and models against a server that plays the hub (tests/hub/server.py), well-behaved or not.
command -v python3 >/dev/null || { echo 'skip hub (no python3 to play the server)'; exit 0; }
. tests/cli/harness.sh
COMMIT=0123456789abcdef0123456789abcdef01234567
T=$PWD/$T
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$T"' EXIT
for v in HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH HF_HUB_DISABLE_IMPLICIT_TOKEN HF_HUB_CACHE \
    HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME HF_HUB_OFFLINE TRANSFORMERS_OFFLINE HF_HUB_ETAG_TIMEOUT \
    HF_HUB_DOWNLOAD_TIMEOUT SSL_CERT_FILE http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY; do
    unset $v
done
export HOME="$T/home"
home() { # home NAME: a cache of its own
    export HF_HOME="$T/$1"
    repo=$HF_HOME/hub/models--org--name
}
pull() { # pull EXPECTED-EXIT MODE MORE...
    want=$1 mode=$2
    shift 2
    HF_ENDPOINT=$HUB/$mode run "$want" pull org/name "$@"
}
says() { one_line && grep -q -e "$1" "$T/err" || { echo "# $(head -1 "$T/err")"; return 1; }; }
asked() { grep -c -e "$1" "$T/log"; } # how many requests match
nothing_published() { [ ! -e "$repo/refs/main" ] && [ -z "$(ls "$repo/snapshots" 2>/dev/null)" ]; }
no_partial() { [ -z "$(find "$repo" -name '*.incomplete')" ]; }
partial() { find "$repo" -name '*.incomplete' -size +0c | grep -q .; }
complete() {
    cmp -s "$repo/snapshots/$COMMIT/open_clip_model.safetensors" $M/open_clip_model.safetensors &&
        cmp -s "$repo/snapshots/$COMMIT/open_clip_config.json" $M/open_clip_config.json && no_partial
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" >/dev/null 2>&1 || rm -f "$T/cert.pem"
python3 tests/hub/server.py $M "$T" 2>"$T/server.err" &
server=$!
wait_for [ -e "$T/ports" ] || { echo 'not ok hub: the server did not start'; exit 1; }
HUB=http://127.0.0.1:$(cut -d' ' -f1 "$T/ports")
TLS=https://127.0.0.1:$(cut -d' ' -f3 "$T/ports")

home first
if ! pull 0 ok --dry-run && grep -q 'libcurl' "$T/err"; then
    echo "skip hub ($(cat "$T/err"))"
    exit 0
fi

dry_run() {
    pull 0 ok --dry-run && grep -q ' 2205802  open_clip_model.safetensors$' "$T/out" && [ ! -e "$HF_HOME" ]
}
pulls() { # the folders of huggingface_hub; no more than is needed; the model then opens
    pull 0 ok && [ "$(cat "$T/out")" = "$repo/snapshots/$COMMIT" ] && complete &&
        [ "$(cat "$repo/refs/main")" = $COMMIT ] && [ "$(ls "$repo/snapshots/$COMMIT" | wc -l)" = 2 ] || return 1
    sha=$(sha256sum <$M/open_clip_model.safetensors | cut -d' ' -f1)
    [ "$(readlink "$repo/snapshots/$COMMIT/open_clip_model.safetensors")" = "../../blobs/$sha" ] &&
        [ -f "$HF_HOME/hub/.locks/models--org--name/$sha.lock" ] || return 1
    git=$( (printf 'blob %d\0' "$(wc -c <$M/open_clip_config.json)"; cat $M/open_clip_config.json) | sha1sum | cut -d' ' -f1)
    [ -f "$repo/blobs/$git" ] && HF_HUB_OFFLINE=1 run 0 info org/name && grep -q open_clip "$T/out"
}
uses() {
    run 0 embed -m org/name -T 'a dog' && cp "$T/out" "$T/pulled" && run 0 embed -m $M -T 'a dog' &&
        cmp -s "$T/out" "$T/pulled" && run 0 tokenize 'a dog' -m "org/name@$COMMIT" &&
        run 3 info org/other && says 'clipc pull org/other' && run 3 info org/name@v2 && says 'clipc pull org/name@v2'
}
again() { # what is here is not fetched again
    before=$(asked ' /ok/.*resolve') && pull 0 ok && [ "$(asked ' /ok/.*resolve')" = "$before" ] &&
        pull 0 ok --dry-run && grep -q 'safetensors  (here)' "$T/out"
}
revisions() {
    HF_ENDPOINT=$HUB/ok run 0 pull org/name@refs/pr/1 && [ "$(cat "$repo/refs/refs/pr/1")" = $COMMIT ] &&
        grep -q '/revision/refs%2Fpr%2F1?' "$T/log" && run 0 info org/name@refs/pr/1 &&
        HF_ENDPOINT=$HUB/ok run 0 pull org/name@$COMMIT && [ ! -e "$repo/refs/$COMMIT" ] &&
        HF_ENDPOINT=$HUB/ok run 3 pull org/name@$(echo $COMMIT | tr 0 f) && says 'answers with commit'
}
lists() {
    run 0 models && grep -q 'org/name .* 2.2 MB  cached' "$T/out" && grep -q 'laion/CLIP-ViT-B-32.* mit .*66.56 %' "$T/out" &&
        run 0 models --json && python3 -c 'import json, sys
m = json.load(sys.stdin)
h = [x for x in m["here"] if x["name"] == "org/name"]
assert len(h) == 1 and h[0]["revision"] == "main" and h[0]["bytes"] == 2206121, h
assert all(k["source"] and 50 < k["imagenet_top1"] < 90 for k in m["known"])
assert [k["name"] for k in m["known"] if not k["license"]] == ["openai/clip-vit-base-patch32"]
assert m["known"][0]["imagenet_top1"] == 63.2 and "2103.00020" in m["known"][0]["source"]' <"$T/out" &&
        run 0 models && grep -q '^clipc pull openai/clip-vit-base-patch32 ' "$T/out"
}
stays() { # what is published stays while a newer commit cannot be had
    pull 3 newer && says 'wrong checksum' && no_partial && run 0 info org/name && [ "$(cat "$repo/refs/main")" = $COMMIT ]
}
caches() { # where the cache is, in huggingface_hub's order
    (
        unset HF_HOME
        XDG_CACHE_HOME=$T/xdg pull 0 ok && [ -e "$T/xdg/huggingface/hub/models--org--name/refs/main" ] &&
            pull 0 ok && [ -e "$HOME/.cache/huggingface/hub/models--org--name/refs/main" ] &&
            HUGGINGFACE_HUB_CACHE=$T/old pull 0 ok && [ -e "$T/old/models--org--name/refs/main" ] &&
            HUGGINGFACE_HUB_CACHE=$T/old HF_HUB_CACHE=$T/new pull 0 ok && [ -e "$T/new/models--org--name/refs/main" ] &&
            HF_HUB_CACHE=$T/new run 0 info org/name && HF_HUB_CACHE=$T/none run 3 info org/name
    )
}
included() {
    home include
    pull 0 ok --include '*.jpg' && [ "$(ls "$repo/snapshots/$COMMIT")" = "$(printf 'open_clip_config.json\nphoto.jpg')" ] &&
        pull 3 ok --include '*.tiff' && says 'no file' && pull 0 ok --include '*' && [ -e "$repo/snapshots/$COMMIT/golden.json" ]
}
token() { # to the hub, never to the host of a redirect; from the environment or from a login
    home token
    pull 3 private && says '401.*HF_TOKEN' && HF_TOKEN=hf_bad pull 3 private && HF_TOKEN=hf_good pull 0 private &&
        [ "$(asked 'hub GET /private/.*auth=Bearer hf_good')" = 4 ] && [ "$(asked 'cdn GET /private/')" = 1 ] &&
        [ "$(asked 'cdn .*auth=.')" = 0 ] || return 1
    home login
    mkdir -p "$HF_HOME" && echo hf_good >"$HF_HOME/token" && pull 0 private &&
        HF_TOKEN=$(printf 'a\r\nb: c') pull 3 ok --dry-run && says 'token is none'
}
refused() { # refused MODE WORDS
    home "$1"
    pull 3 "$1" && says "$2" && nothing_published
}
names_only() { # a mirror that lists names alone is asked about each file that is wanted, and no other host is
    home names
    HF_TOKEN=hf_good pull 0 names && complete && [ "$(asked 'hub HEAD /names/org/name/resolve/')" = 2 ] &&
        [ "$(asked 'cdn HEAD')" = 0 ] && refused noetag 'no checksum'
}
statuses() { refused missing 404 && refused gated 'terms'; }
encrypted() { # a certificate that nobody vouches for; one that SSL_CERT_FILE does; never back to plain HTTP
    home tls
    HF_ENDPOINT=$TLS/ok run 3 pull org/name && says 'certificate' &&
        SSL_CERT_FILE=$T/cert.pem HF_ENDPOINT=$TLS/ok run 0 pull org/name --include '*.jpg' &&
        SSL_CERT_FILE=$T/cert.pem HF_ENDPOINT=$TLS/ok run 3 pull org/name && says 'redirected to http:'
}
waits() { home busy && pull 0 busy && complete && [ "$(asked '/busy/api/')" = 3 ]; }
resumes() { # a broken transfer goes on from where it broke
    home cut
    pull 0 cut && complete && [ "$(asked 'cdn GET /cut/')" = 2 ] && [ "$(asked 'cdn GET /cut/.*range=bytes=[1-9]')" = 1 ]
}
restarts() { # where the server knows no ranges, from the beginning
    home norange
    pull 0 norange && complete && [ "$(asked 'cdn GET /norange/.*range=bytes=[1-9]')" = 1 ]
}
other_range() { refused wrongrange 'other bytes' && partial; }
gives_up() { refused cutnorange 'partial file' && partial && pull 0 ok && complete; }
checksums() { refused wrongsum 'wrong checksum' && no_partial && pull 0 ok && complete; }
junk() { # what was left of another file: found out, removed, fetched anew
    home junk
    sha=$(sha256sum <$M/open_clip_model.safetensors | cut -d' ' -f1)
    mkdir -p "$repo/blobs" && echo junk >"$repo/blobs/$sha.incomplete" && pull 3 ok && says 'wrong checksum' &&
        no_partial && pull 0 ok && complete || return 1
    home longer
    mkdir -p "$repo/blobs" && (cat $M/open_clip_model.safetensors; echo) >"$repo/blobs/$sha.incomplete" &&
        pull 0 ok && complete || return 1
    home cutblob # a blob of the wrong size is no blob
    mkdir -p "$repo/blobs" && echo junk >"$repo/blobs/$sha" && pull 0 ok && complete
}
sizes() {
    refused short 'ends after' && refused oversize 'more than the' && no_partial && refused nosize 'no size' &&
        refused huge 'no size' && refused nospace 'MB free'
}
hostile() {
    for i in 0 1 2 3 4 5 6 7 8 9; do refused evil$i 'names a file' || return 1; done
    refused badcommit 'no commit' && refused badhash 'no checksum' && refused noweights 'no weights' &&
        refused html 'answer' && refused bigjson 'larger than' && refused headers 'headers' &&
        refused loop 'redirected' && refused tofile 'file:///etc/passwd' && [ ! -e /tmp/evil ]
}
full_disk() {
    home full
    (trap '' XFSZ && ulimit -f 512 && pull 3 ok) && says 'cannot write' && nothing_published && partial && pull 0 ok && complete
}
offline() {
    home offline
    for v in HF_HUB_OFFLINE TRANSFORMERS_OFFLINE; do
        (export $v=1 && pull 3 ok && says "$v is set" && [ "$(asked '/offline/')" = 0 ]) || return 1
    done
    HF_ENDPOINT=http://127.0.0.1:1 run 3 pull org/name && one_line && HF_ENDPOINT=gopher://x run 3 pull org/name && says 'no http'
}
usage() {
    for bad in name org/na/me ./org/name org/../name org--x/name 'org/name@' 'org/name@../x' 'org/name@a b' org/name.git; do
        HF_ENDPOINT=$HUB/ok run 3 pull "$bad" && says 'wanted org/name' || return 1
    done
    run 2 pull && one_line && run 2 models x && one_line
}
begun() { # waits until something of the weights is here
    n=0
    until find "$repo" -name '*.incomplete' -size +64k 2>/dev/null | grep -q .; do
        n=$((n + 1))
        [ $n -lt 500 ] || return 1
        sleep 0.02
    done
}
stopped() { # stopped SIGNAL: what came is kept, and the next pull goes on
    home "stopped$1"
    HF_ENDPOINT=$HUB/slow "$CLIPC" pull org/name >"$T/out" 2>"$T/err" &
    pid=$!
    begun && kill -"$1" $pid
    wait $pid 2>/dev/null
    got=$?
    [ "$1" = KILL ] || { [ $got = 130 ] && says stopped; } || return 1
    nothing_published && partial && before=$(asked 'cdn GET /ok/.*range=bytes=[1-9]') && pull 0 ok && complete &&
        [ "$(asked 'cdn GET /ok/.*range=bytes=[1-9]')" = $((before + 1)) ]
}
two() { # two at a time fetch once
    home two
    before=$(asked 'cdn GET /slow/')
    HF_ENDPOINT=$HUB/slow "$CLIPC" pull org/name >/dev/null 2>&1 &
    pid=$!
    begun && pull 0 slow && wait $pid && complete && [ "$(asked 'cdn GET /slow/')" = $((before + 1)) ]
}
loris() {
    T=$T/loris
    mkdir "$T" && HF_HUB_DOWNLOAD_TIMEOUT=1 refused loris 'too slow'
}

(loris) & # takes as long as its patience: beside the others
slow=$!
expect 'hub: dry run' dry_run
expect 'hub: pull' pulls
expect 'hub: the model that was pulled' uses
expect 'hub: what is here' again
expect 'hub: revisions' revisions
expect 'hub: models' lists
expect 'hub: a newer commit that cannot be had' stays
expect 'hub: folders of the cache' caches
expect 'hub: --include' included
expect 'hub: the token' token
if [ -e "$T/cert.pem" ]; then expect 'hub: TLS' encrypted; else echo 'skip hub: TLS (no openssl)'; fi
expect 'hub: missing and gated' statuses
expect 'hub: a mirror that lists names alone' names_only
expect 'hub: a busy server' waits
expect 'hub: a broken transfer goes on' resumes
expect 'hub: a broken transfer without ranges' restarts
expect 'hub: another range than asked for' other_range
expect 'hub: a transfer that always breaks' gives_up
expect 'hub: wrong checksum' checksums
expect 'hub: files that are left over' junk
expect 'hub: wrong sizes' sizes
expect 'hub: hostile answers' hostile
expect 'hub: a full disk' full_disk
expect 'hub: offline' offline
expect 'hub: names' usage
expect 'hub: interrupted' stopped INT
expect 'hub: killed' stopped KILL
expect 'hub: two at a time' two
wait $slow
say 'hub: a server that drips' $?
exit $status
