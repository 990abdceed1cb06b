#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/opts.h"
#include "cli/cli.h"
#include "clipc_hub.h"

/* ---- well-known models ---------------------------------------------------------------
 */

/* Where a figure was published. */
typedef enum source { CSV, MOBILECLIP, PAPER, N_SOURCES } source;

static const char *const sources[N_SOURCES] = {[CSV] =
                                                   "open_clip: docs/openclip_results.csv",
                                               [MOBILECLIP] = "ml-mobileclip: README.md",
                                               [PAPER] = "arXiv:2103.00020, table 11"};

/* Names are those of open_clip's pretrained.py but for OpenAI's own, licences those that
 * the hub shows on a model's page; NULL: it shows none. */
static const struct {
    const char *name, *license;
    double params; /* millions, both towers */
    double top1;   /* zero-shot on ImageNet-1k, percent */
    source source;
} known[] = {
    {"openai/clip-vit-base-patch32", NULL, 151.28, 63.2, PAPER},
    {"timm/vit_base_patch32_clip_224.openai", "apache-2.0", 151.28, 63.32, CSV},
    {"timm/vit_large_patch14_clip_224.openai", "apache-2.0", 427.62, 75.54, CSV},
    {"laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "mit", 151.28, 66.56, CSV},
    {"laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", "mit", 151.28, 69.17, CSV},
    {"laion/CLIP-ViT-B-16-laion2B-s34B-b88K", "mit", 149.62, 70.23, CSV},
    {"laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", "mit", 149.62, 73.49, CSV},
    {"laion/CLIP-ViT-L-14-laion2B-s32B-b82K", "mit", 427.62, 75.25, CSV},
    {"laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", "mit", 427.62, 79.21, CSV},
    {"laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup", "mit", 351.77, 76.85,
     CSV},
    {"laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", "mit", 2539.57, 80.09, CSV},
    {"timm/eva02_large_patch14_clip_336.merged2b_s6b_b61k", "mit", 428.08, 80.39, CSV},
    {"timm/vit_base_patch32_clip_224.metaclip_2pt5b", "cc-by-nc-4.0", 151.28, 67.66, CSV},
    {"timm/ViT-B-16-SigLIP", "apache-2.0", 203.16, 76.04, CSV},
    {"timm/ViT-SO400M-14-SigLIP-384", "apache-2.0", 877.96, 83.08, CSV},
    {"UCSC-VLAA/ViT-H-14-CLIPA-336-datacomp1B", "apache-2.0", 968.64, 81.80, CSV},
    {"apple/DFN5B-CLIP-ViT-H-14-378", "apple-amlr", 986.71, 84.37, CSV},
    {"apple/MobileCLIP-S1-OpenCLIP", "apple-amlr", 84.9, 72.6, MOBILECLIP},
    {"apple/MobileCLIP-S2-OpenCLIP", "apple-amlr", 99.1, 74.4, MOBILECLIP},
    {"apple/MobileCLIP-B-OpenCLIP", "apple-amlr", 149.7, 76.8, MOBILECLIP},
};

enum { N_KNOWN = sizeof known / sizeof known[0] };

static const char openai[] =
    "\nOpenAI's own, and what comes with clipc:\n"
    "  openai/clip-vit-base-patch32  605 MB; ImageNet 63.2 % [3]; learned from 400 "
    "million\n"
    "                                pictures of the web. OpenAI's code is MIT; its "
    "card\n"
    "                                calls any deployed use of the weights out of scope\n"
    "  clipc-default                 30 MB, Apache-2.0; taken where no model is named; "
    "35 "
    "%\n"
    "                                of 241 photographs among 232 names, 18 % of "
    "OpenMoji's\n"
    "                                drawings among 1,648; ImageNet is not zero-shot to "
    "it\n"
    "  clipc-drawings                26 MB, MIT; 22.6 % of OpenMoji's drawings among "
    "all\n"
    "                                1,648 names; no photographs\n"
    "clipc pull openai/clip-vit-base-patch32 fetches it, and\n"
    "--model openai/clip-vit-base-patch32 (or CLIPC_MODEL) takes it.\n";

static void print_known(void)
{
    printf("\nwell known (clipc pull NAME)%34s %9s %-12s %8s\n", "", "params", "licence",
           "ImageNet");
    for (size_t i = 0; i < N_KNOWN; i++)
        printf("  %-59s %7.1f M  %-12s %6.2f %% [%d]\n", known[i].name, known[i].params,
               known[i].license ? known[i].license : "none told", known[i].top1,
               (int)known[i].source + 1);
    printf("\nImageNet: zero-shot top-1, as published in\n");
    for (int i = 0; i < N_SOURCES; i++) printf("  [%d] %s\n", i + 1, sources[i]);
    fputs(openai, stdout);
}

static void print_known_json(void)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        printf("%s{\"name\":\"%s\",\"params_millions\":%.2f,\"license\":", i ? "," : "",
               known[i].name, known[i].params);
        if (known[i].license) json_print_string(known[i].license);
        else fputs("null", stdout);
        printf(",\"imagenet_top1\":%.2f,\"source\":\"%s\"}", known[i].top1,
               sources[known[i].source]);
    }
}

/* ---- models that are here ------------------------------------------------------------
 */

typedef struct listing {
    bool json;
    size_t n;
} listing;

static int print_here(const clipc_here *m)
{
    char name[320];

    /* main is what a name means by itself; a snapshot without a branch goes by commit. */
    const char *revision = !m->commit                         ? NULL
                           : !*m->revision                    ? m->commit
                           : strcmp(m->revision, "main") != 0 ? m->revision
                                                              : NULL;
    snprintf(name, sizeof name, "%s%s%s", m->name, revision ? "@" : "",
             revision ? revision : "");
    printf("  %-59s %7.1f MB  %s\n", name, (double)m->size / 1e6,
           m->commit ? "cached" : m->path);
    return CLIPC_OK;
}

static int print_here_json(const clipc_here *m, bool first)
{
    printf("%s{\"name\":", first ? "" : ",");
    json_print_string(m->name);
    printf(",\"path\":");
    json_print_string(m->path);
    printf(",\"bytes\":%" PRIu64, m->size);
    if (m->commit) {
        printf(",\"revision\":");
        json_print_string(m->revision);
        printf(",\"commit\":\"%s\"", m->commit);
    }
    putchar('}');
    return CLIPC_OK;
}

static int on_here(void *user, const clipc_here *m)
{
    listing *l = user;
    const bool first = l->n++ == 0;

    return l->json ? print_here_json(m, first) : print_here(m);
}

static int on_option(void *user, const char *name, const char *value)
{
    listing *l = user;

    (void)value;
    if (strcmp(name, "json") == 0) l->json = true;
    return 0;
}

static int list(listing *l, clipc_err *err)
{
    fputs(l->json ? "{\"here\":[" : "here\n", stdout);
    const int rc = clipc_models_here(on_here, l, err);

    if (l->json) {
        fputs("],\"known\":[", stdout);
        print_known_json();
        puts("]}");
    } else {
        if (!l->n) puts("  none");
        print_known();
    }
    return rc;
}

int cmd_models(int argc, char **argv)
{
    static const opt table[] = {{"json", 'j', NULL, "one JSON object"}};
    static const opts_usage usage = {
        "models", "[options]",
        "Lists the models that --model takes by name: those in CLIPC_MODEL_PATH, beside\n"
        "the executable and installed, and those in the cache of Hugging Face models; "
        "then\n"
        "well-known ones that `clipc pull` fetches, with size, licence and accuracy.",
        "  clipc models\n  clipc models --json\n"};
    listing l = {0};
    clipc_err err;
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &l);

    if (at < 0) return cli_options_exit(at);
    if (at < argc) return cli_usage("models", "takes no operands");
    return list(&l, &err) == CLIPC_OK ? EXIT_DONE : cli_fail(&err);
}
