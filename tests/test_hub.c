/* hub: names, the cache as it is found, and what of a repository is fetched.  The network
 * is tests/hub/run.sh's. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"
#include "hub/cache.h"
#include "hub/repo.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

/* ---- names ---------------------------------------------------------------------------
 */

static void test_names(void **state)
{
    static const struct {
        const char *text, *repo, *revision;
    } good[] = {{"org/name", "org/name", "main"},
                {"a/b@v1.0", "a/b", "v1.0"},
                {"a_b-c.d/E.f_g-1@refs/pr/12", "a_b-c.d/E.f_g-1", "refs/pr/12"},
                {"a/b@" COMMIT, "a/b", COMMIT}};
    /* As huggingface_hub's validate_repo_id; revisions become paths. */
    static const char *const bad[] = {
        "",        "name",     "/",          "a/",      "/b",        "a/b/c",
        "./a",     "a/..",     "a/.b",       "a/b.",    "-a/b",      "a/b-",
        "a--b/c",  "a/b..c",   "a/b.git",    "a/b c",   "a/b@",      "a/b@/x",
        "a/b@x/",  "a/b@../x", "a/b@x/../y", "a/b@.x",  "a/b@x//y",  "a/b@x y",
        "a/b@x:y", "a/b@x\n",  "a@x/b",      "a/b@x@y", "models/a/b"};
    hub_name name;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(hub_name_parse(&name, good[i].text));
        assert_string_equal(name.repo, good[i].repo);
        assert_string_equal(name.revision, good[i].revision);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hub_name_parse(&name, bad[i])) fail_msg("\"%s\" is taken for a name", bad[i]);
}

/* ---- the cache -----------------------------------------------------------------------
 */

static char root[64];

static void put(const char *path, const char *text)
{
    clipc_err err;
    char whole[512], *slash;

    snprintf(whole, sizeof whole, "%s/%s", root, path);
    slash = strrchr(whole, '/');
    *slash = '\0';
    CHECK_OK(file_mkdirs(whole, &err), err);
    *slash = '/';
    CHECK_OK(file_replace(whole, text, strlen(text), &err), err);
}

static void check_find(const char *text, bool there)
{
    hub_name name;
    char *path;
    clipc_err err;

    assert_true(hub_name_parse(&name, text));
    CHECK_OK(cache_find(&path, &name, &err), err);
    if (there != (path != NULL)) fail_msg("%s: %s", text, path ? path : "not found");
    if (path) assert_non_null(strstr(path, "/snapshots/" COMMIT));
    free(path);
}

static int see(void *user, const cached_model *m)
{
    assert_string_equal(m->repo, "org/name");
    assert_string_equal(m->revision, "main");
    assert_string_equal(m->commit, COMMIT);
    assert_int_equal(m->size, 4);
    ++*(int *)user;
    return CLIPC_OK;
}

/* A ref that is no commit, or of a commit that is not here, finds nothing. */
static void test_cache(void **state)
{
    int n = 0;
    clipc_err err;
    char command[128];

    (void)state;
    snprintf(root, sizeof root, "/tmp/clipc-hub-XXXXXX");
    assert_non_null(mkdtemp(root));
    setenv("HF_HUB_CACHE", root, 1);
    put("models--org--name/snapshots/" COMMIT "/config.json", "abc");
    put("models--org--name/snapshots/" COMMIT "/a/b", "d");
    put("models--org--name/refs/a", COMMIT);
    put("models--org--name/refs/main", COMMIT);
    put("models--org--name/refs/refs/pr/1", COMMIT "\n");
    put("models--org--name/refs/broken", "../../../../../../../../../../../etc/pass");
    put("models--org--name/refs/gone", "ffffffffffffffffffffffffffffffffffffffff");
    put("models--org--name/refs/long", COMMIT COMMIT);
    put("models--org--begun/blobs/" COMMIT ".incomplete", "x");
    put("datasets--org--name/snapshots/" COMMIT "/x", "x");
    check_find("org/name", true);
    check_find("org/name@a", true);
    check_find("org/name@refs/pr/1", true);
    check_find("org/name@" COMMIT, true);
    check_find("org/name@refs", false);
    check_find("org/name@broken", false);
    check_find("org/name@gone", false);
    check_find("org/name@long", false);
    check_find("org/name@ffffffffffffffffffffffffffffffffffffffff", false);
    check_find("org/begun", false);
    CHECK_OK(cache_each(see, &n, &err), err);
    assert_int_equal(n, 1);
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

/* ---- the choice ----------------------------------------------------------------------
 */

/* A hub's answer that lists `names`, separated by blanks. */
static json_t *answer(const char *names)
{
    json_t *files = json_array();
    char copy[1024];

    snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " "))
        json_array_append_new(files, json_pack("{ss si ss}", "rfilename", name, "size", 1,
                                               "blobId", COMMIT));
    return json_pack("{ss so}", "sha", COMMIT, "siblings", files);
}

/* Of `names` these are fetched, in order; an error where wanted is NULL. */
static void check_choice(const char *names, const char *wanted, const char *glob)
{
    json_t *a = answer(names);
    char got[1024] = "";
    clipc_err err = {0};
    repo r;

    CHECK_OK(repo_read(&r, a, "org/name", &err), err);
    const int rc = repo_choose(&r, &glob, glob ? 1 : 0, "org/name", &err);
    for (size_t i = 0; rc == CLIPC_OK && i < r.n; i++)
        if (r.files[i].wanted)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", *got ? " " : "",
                     r.files[i].name);
    if (!wanted) assert_int_equal(rc, CLIPC_ERR_IO);
    else if (strcmp(got, wanted) != 0)
        fail_msg("of \"%s\": \"%s\", wanted \"%s\" (%s)", names, got, wanted, err.msg);
    repo_free(&r);
    json_decref(a);
}

static void test_choice(void **state)
{
    (void)state;
    /* The order in which open_clip, then transformers would take them; nothing of
     * TensorFlow, Flax, ONNX, nor pictures, nor what lies in other folders. */
    check_choice(
        ".gitattributes README.md config.json flax_model.msgpack merges.txt "
        "model.safetensors onnx/model.onnx onnx/config.json open_clip_config.json "
        "open_clip_model.safetensors open_clip_pytorch_model.bin pic.jpg "
        "pytorch_model.bin tf_model.h5 vocab.json",
        "config.json merges.txt open_clip_config.json open_clip_model.safetensors "
        "vocab.json",
        NULL);
    check_choice("open_clip_config.json open_clip_pytorch_model.bin model.safetensors",
                 "open_clip_config.json open_clip_pytorch_model.bin", NULL);
    check_choice("config.json pytorch_model.bin model.safetensors spiece.model",
                 "config.json model.safetensors spiece.model", NULL);
    check_choice("config.json pytorch_model.bin tf_model.h5",
                 "config.json pytorch_model.bin", NULL);
    /* open_clip's weights are of no use without its config. */
    check_choice("config.json model.safetensors open_clip_model.safetensors",
                 "config.json model.safetensors", NULL);
    /* An index and its shards, of one kind only. */
    check_choice("config.json model-00001-of-00002.safetensors "
                 "model-00002-of-00002.safetensors model.safetensors.index.json "
                 "pytorch_model-00001-of-00002.bin pytorch_model.bin.index.json",
                 "config.json model-00001-of-00002.safetensors "
                 "model-00002-of-00002.safetensors model.safetensors.index.json",
                 NULL);
    /* sentence-transformers' modules. */
    check_choice("1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors "
                 "2_Dense/pytorch_model.bin config.json model.safetensors modules.json "
                 "onnx/model.onnx pytorch_model.bin vocab.txt",
                 "1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors "
                 "config.json model.safetensors modules.json vocab.txt",
                 NULL);
    /* A model in one file, where there is one; globs choose among several. */
    check_choice("README.md ViT-B-32.pt", "ViT-B-32.pt", NULL);
    check_choice("a.gguf a.pt b.clipc", "b.clipc", NULL);
    check_choice("a.pt b.pt config.json", NULL, NULL);
    check_choice("README.md x/a.pt", NULL, NULL);
    check_choice("a.pt b.pt config.json", "b.pt config.json", "b.*");
    check_choice("config.json model.safetensors pytorch_model.bin",
                 "config.json pytorch_model.bin", "*.bin");
    check_choice("a.pt", NULL, "*.bin");
}

/* Answers of a hub that is none, or is hostile. */
static void check_refused(const char *text, const char *part)
{
    clipc_err err;
    json_t *a = json_loads(text, 0, NULL);
    repo r;

    assert_non_null(a);
    CHECK_FAILS(repo_read(&r, a, "org/name", &err), CLIPC_ERR_FORMAT, err, part);
    repo_free(&r);
    json_decref(a);
}

#define FILES(list) "{\"sha\": \"" COMMIT "\", \"siblings\": " list "}"
#define ONE(rest)   FILES("[{\"rfilename\": \"a\", " rest "}]")
#define HASH        "\"blobId\": \"" COMMIT "\""

static void test_hostile(void **state)
{
    (void)state;
    check_refused("[]", "no commit");
    check_refused("{\"sha\": 1}", "no commit");
    check_refused("{\"sha\": \"0123\"}", "no commit");
    check_refused("{\"sha\": \"0123456789ABCDEF0123456789abcdef01234567\"}", "no commit");
    check_refused("{\"sha\": \"" COMMIT "\"}", "0 files");
    check_refused(FILES("{}"), "0 files");
    check_refused(FILES("[1]"), "names a file");
    check_refused(FILES("[{\"rfilename\": \"../a\", \"size\": 1, " HASH "}]"),
                  "names a file \"../a\"");
    check_refused(ONE("\"size\": 1, \"blobId\": null"), "no checksum");
    check_refused(ONE("\"size\": 1, \"blobId\": \"../../a\""), "no checksum");
    check_refused(ONE("\"size\": 1, \"lfs\": {\"size\": 1}, " HASH), "no checksum");
    check_refused(ONE(HASH), "no size");
    check_refused(ONE("\"size\": -1, " HASH), "no size");
    check_refused(ONE("\"size\": 1.5, " HASH), "no size");
    check_refused(ONE("\"size\": 9223372036854775807, " HASH), "no size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_cache),
        cmocka_unit_test(test_choice), cmocka_unit_test(test_hostile)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
