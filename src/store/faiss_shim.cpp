#include "store/faiss_shim.h"

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <omp.h>

namespace
{

/* LINKS: of a vector of a graph, twice as many at its bottom.  BUILD: how many are looked
 * at for each that is added.  PER_LIST: vectors that a list's centre is trained on.
 * CODES: centres of 8 bits. */
enum { LINKS = 32, BUILD = 200, PER_LIST = 48, CODES = 256, ROUNDS = 10 };

/* ---- the host's vectors, as FAISS sees them ---- */

class host_distance : public faiss::DistanceComputer
{
  public:
    host_distance(const shim_host *host, size_t dim) : host(host), row(dim)
    {
    }
    void set_query(const float *x) override
    {
        query = x;
    }
    float operator()(idx_t i) override
    {
        return host->dot(host->arg, query, static_cast<uint64_t>(i));
    }
    /* A row is compared to many others in turn. */
    float symmetric_dis(idx_t i, idx_t j) override
    {
        if (j != held) host->read(host->arg, row.data(), static_cast<uint64_t>(j));
        held = j;
        return host->dot(host->arg, row.data(), static_cast<uint64_t>(i));
    }

  private:
    const shim_host *host;
    const float *query = nullptr;
    std::vector<float> row;
    idx_t held = -1;
};

class host_storage : public faiss::Index
{
  public:
    explicit host_storage(size_t dim)
        : faiss::Index(static_cast<idx_t>(dim), faiss::METRIC_INNER_PRODUCT)
    {
    }
    const shim_host *host = nullptr;

    void add(idx_t n, const float *) override
    {
        ntotal += n;
    }
    void reset() override
    {
        ntotal = 0;
    }
    void search(idx_t, const float *, idx_t, float *, idx_t *,
                const faiss::SearchParameters *) const override
    {
        throw std::logic_error("a graph's vectors are not searched");
    }
    faiss::DistanceComputer *get_distance_computer() const override
    {
        return new host_distance(host, static_cast<size_t>(d));
    }
};

struct host_selector : faiss::IDSelector {
    const shim_host *host;
    explicit host_selector(const shim_host *host) : host(host)
    {
    }
    bool is_member(idx_t id) const override
    {
        return host->wanted(host->arg, static_cast<uint64_t>(id)) != 0;
    }
};

struct put_writer : faiss::IOWriter {
    int (*put)(void *, const void *, size_t);
    void *arg;
    size_t operator()(const void *data, size_t size, size_t n) override
    {
        return put(arg, data, size * n) == 0 ? n : 0;
    }
};

struct file_closer {
    void operator()(FILE *f) const
    {
        fclose(f);
    }
};

/* A vector's part that has a code of its own. */
size_t part_of(size_t dim)
{
    for (size_t part = 4; part > 1; part--)
        if (dim % part == 0) return part;
    return 1;
}

} // namespace

struct shim_index {
    std::unique_ptr<faiss::IndexHNSW> graph;
    std::unique_ptr<host_storage> storage; /* of the graph */
    std::unique_ptr<faiss::IndexIVFPQ> lists;
};

namespace
{

/* Runs fn, which throws what went wrong. */
template <class F> int attempt(shim_why *why, F fn)
{
    try {
        fn();
        return 0;
    } catch (const std::exception &e) {
        snprintf(why->text, sizeof why->text, "%s", e.what());
    }
    for (char *c = why->text; *c; c++)
        if (*c == '\n') *c = ' ';
    return -1;
}

void use_storage(shim_index *x, size_t dim)
{
    x->storage.reset(new host_storage(dim));
    x->storage->ntotal = x->graph->ntotal;
    x->graph->storage = x->storage.get();
    x->graph->own_fields = false;
    x->graph->hnsw.efConstruction = BUILD;
}

void make_graph(shim_index *x, size_t dim)
{
    x->graph.reset(new faiss::IndexHNSWFlat(static_cast<int>(dim), LINKS,
                                            faiss::METRIC_INNER_PRODUCT));
    delete x->graph->storage;
    use_storage(x, dim);
}

void make_lists(shim_index *x, size_t dim, size_t expected)
{
    const size_t n = static_cast<size_t>(std::sqrt(static_cast<double>(expected)));
    std::unique_ptr<faiss::Index> centres(
        new faiss::IndexFlatIP(static_cast<faiss::Index::idx_t>(dim)));

    x->lists.reset(new faiss::IndexIVFPQ(centres.get(), dim, n ? n : 1,
                                         dim / part_of(dim), 8,
                                         faiss::METRIC_INNER_PRODUCT));
    centres.release();
    x->lists->own_fields = true;
    x->lists->cp.niter = x->lists->pq.cp.niter = ROUNDS;
    x->lists->cp.min_points_per_centroid = 1; /* else it warns on standard error */
    x->lists->pq.cp.min_points_per_centroid = 1;
}

/* The graph's writer writes its vectors, too: of a graph that has none, none. */
void write_graph(const shim_index *x, faiss::IOWriter *to)
{
    faiss::IndexFlatIP none(x->graph->d);

    x->graph->storage = &none;
    try {
        faiss::write_index(x->graph.get(), to);
    } catch (...) {
        x->graph->storage = x->storage.get();
        throw;
    }
    x->graph->storage = x->storage.get();
}

void check_read(const faiss::Index *index, size_t dim, size_t n)
{
    if (!index || static_cast<size_t>(index->d) != dim ||
        static_cast<size_t>(index->ntotal) != n ||
        index->metric_type != faiss::METRIC_INNER_PRODUCT)
        throw std::runtime_error("FAISS's part is of other vectors");
}

void take_graph(shim_index *x, std::unique_ptr<faiss::Index> read, size_t dim)
{
    x->graph.reset(dynamic_cast<faiss::IndexHNSW *>(read.get()));
    if (!x->graph) throw std::runtime_error("FAISS's part is no graph");
    read.release();
    delete x->graph->storage;
    use_storage(x, dim);
}

void take_lists(shim_index *x, std::unique_ptr<faiss::Index> read)
{
    x->lists.reset(dynamic_cast<faiss::IndexIVFPQ *>(read.get()));
    if (!x->lists) throw std::runtime_error("FAISS's part is no IVF-PQ");
    read.release();
}

} // namespace

int clipc_faiss_new(shim_index **out, int kind, size_t dim, size_t expected,
                    shim_why *why)
{
    *out = nullptr;
    return attempt(why, [&] {
        std::unique_ptr<shim_index> x(new shim_index);
        if (kind == SHIM_HNSW) make_graph(x.get(), dim);
        else make_lists(x.get(), dim, expected);
        *out = x.release();
    });
}

void clipc_faiss_free(shim_index *x)
{
    delete x;
}

size_t clipc_faiss_sample(const shim_index *x)
{
    return x->graph ? 0 : x->lists->nlist * PER_LIST + CODES * PER_LIST;
}

int clipc_faiss_train(shim_index *f, const float *x, size_t n, int threads, shim_why *why)
{
    return attempt(why, [&] {
        omp_set_num_threads(threads);
        f->lists->train(static_cast<faiss::Index::idx_t>(n), x);
    });
}

int clipc_faiss_add(shim_index *f, const shim_host *host, const float *x, size_t n,
                    int threads, shim_why *why)
{
    return attempt(why, [&] {
        omp_set_num_threads(threads);
        if (f->storage) f->storage->host = host;
        faiss::Index *to = f->graph ? static_cast<faiss::Index *>(f->graph.get())
                                    : static_cast<faiss::Index *>(f->lists.get());
        to->add(static_cast<faiss::Index::idx_t>(n), x);
    });
}

int clipc_faiss_write(const shim_index *f, size_t *loose,
                      int (*put)(void *arg, const void *data, size_t size), void *arg,
                      shim_why *why)
{
    return attempt(why, [&] {
        put_writer to;
        to.put = put;
        to.arg = arg;
        to.name = "the approximate index";
        *loose = 0;
        if (f->graph) return write_graph(f, &to);
        faiss::write_index(f->lists.get(), &to);
        /* Codes and positions of all lists, which stand last. */
        *loose = static_cast<size_t>(f->lists->ntotal) *
                 (f->lists->code_size + sizeof(faiss::Index::idx_t));
    });
}

int clipc_faiss_read(shim_index **out, int kind, size_t dim, size_t n, const char *path,
                     size_t offset, int grows, shim_why *why)
{
    *out = nullptr;
    return attempt(why, [&] {
        std::unique_ptr<shim_index> x(new shim_index);
        std::unique_ptr<FILE, file_closer> f(fopen(path, "rb"));
        if (!f || fseek(f.get(), static_cast<long>(offset), SEEK_SET) != 0)
            throw std::runtime_error("cannot be read");
        faiss::FileIOReader from(f.get());
        from.name = path;
        const bool maps = kind == SHIM_IVF_PQ && !grows;
        std::unique_ptr<faiss::Index> read(faiss::read_index(
            &from, maps ? faiss::IO_FLAG_MMAP | faiss::IO_FLAG_READ_ONLY : 0));
        check_read(read.get(), dim, n);
        if (kind == SHIM_HNSW) take_graph(x.get(), std::move(read), dim);
        else take_lists(x.get(), std::move(read));
        *out = x.release();
    });
}

int clipc_faiss_search(const shim_index *f, const shim_host *host, const float *query,
                       size_t k, size_t effort, int64_t *positions, shim_why *why)
{
    return attempt(why, [&] {
        host_selector wanted(host);
        std::vector<float> scores(k);
        const auto most = static_cast<faiss::Index::idx_t>(k);
        omp_set_num_threads(1); /* more would take longer to begin than it takes */
        if (f->graph) {
            faiss::SearchParametersHNSW how;
            how.efSearch = static_cast<int>(effort);
            how.sel = &wanted;
            f->graph->hnsw.efSearch = how.efSearch; /* 1.7.3 takes it from both */
            f->storage->host = host;
            f->graph->search(1, query, most, scores.data(), positions, &how);
        } else {
            faiss::IVFPQSearchParameters how;
            how.nprobe = effort;
            how.sel = &wanted;
            f->lists->search(1, query, most, scores.data(), positions, &how);
        }
    });
}
