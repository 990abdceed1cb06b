#define _GNU_SOURCE
#include "cli/approximate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

static const char *const names[] = {
    [CLIPC_APPROXIMATE_HNSW] = "hnsw", [CLIPC_APPROXIMATE_IVF_PQ] = "ivf-pq"};

/* ---- telling ---- */

void approximate_print(const clipc_index_approximate *a)
{
    if (!a->kind) return;
    printf("  approximate  %s of %zu vectors, %.1f MB, finds %.1f %% of the 10 best\n",
           names[a->kind], a->vectors, (double)a->bytes / 1e6, 100.0 * a->recall);
}

void approximate_print_json(const clipc_index_approximate *a)
{
    if (!a->kind) return;
    printf(",\"approximate\":{\"kind\":\"%s\",\"vectors\":%zu,\"bytes\":%llu,"
           "\"recall_at_10\":%.4f}",
           names[a->kind], a->vectors, (unsigned long long)a->bytes, a->recall);
}

static void tell(void *user, const clipc_index_approximate *a)
{
    progress *p = user;

    progress_end(p);
    if (!a->kind) return;
    printf("%s\n", a->model);
    approximate_print(a);
    if (a->made)
        printf("  %s        in %.1f s; a query takes %.2f ms, exactly %.2f ms\n",
               a->made == 1 ? "made " : "grown", a->seconds, a->ms, a->exact);
}

/* ---- making ---- */

static int stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static int kind_named(int *kind, const char *name)
{
    *kind = CLIPC_APPROXIMATE_NONE;
    for (int i = CLIPC_APPROXIMATE_HNSW; name && i <= CLIPC_APPROXIMATE_IVF_PQ; i++)
        if (strcmp(names[i], name) == 0) *kind = i;
    return name && !*kind ? cli_usage("index build", "--kind wants hnsw or ivf-pq") : 0;
}

int approximate_build(const char *folder, const char *kind, bool if_due)
{
    progress p = progress_start("added", 0);
    clipc_index_build_options o = {
        .due = if_due, .on_progress = progress_of_total, .stop = stop, .user = &p};
    clipc_err err;
    const int usage = kind_named(&o.kind, kind);

    if (usage) return usage;
    if (clipc_index_build(folder, &o, tell, &p, &err) == CLIPC_OK) return EXIT_DONE;
    progress_end(&p);
    return cli_fail(&err);
}

/* ---- in the background ---- */

/* Of the process that makes it: nothing of this one's, and the last in every queue. */
static void become_builder(const char *folder)
{
    const int nothing = open("/dev/null", O_RDWR);

    setsid();
    for (int fd = 0; nothing >= 0 && fd <= 2; fd++) dup2(nothing, fd);
    setpriority(PRIO_PROCESS, 0, 19);
    setenv("OMP_WAIT_POLICY", "passive", 0); /* threads of FAISS that wait, sleep */
    if (folder)
        execl("/proc/self/exe", "clipc", "index", "build", "--if-due", "--index", folder,
              (char *)NULL);
    else execl("/proc/self/exe", "clipc", "index", "build", "--if-due", (char *)NULL);
    _exit(EXIT_NONE);
}

void approximate_start_if_due(clipc_index *x, const char *folder)
{
    if (!x || !clipc_index_build_due(x)) return;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) become_builder(folder);
        _exit(EXIT_DONE); /* so that the builder is nobody's child */
    }
    if (child > 0) waitpid(child, NULL, 0);
}
