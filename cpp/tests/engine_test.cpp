// The engine at the level this file is compiled for: how samples are cut up and turned to lanes, the parallel loop, the
// objective's derivatives, and the sums. Two densities of the test's own stand in for the families: one whose results
// are whatever the test says, and one simple enough to be worked out by a plain loop.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <new>
#include <thread>
#include <vector>

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "check.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/moments.hpp"
#include "scorematch/sample_gradients.hpp"
#include "this_level.hpp"

namespace scorematch {
namespace {

using Doubles = std::vector<double>;

bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }

template <class T>
constexpr double rounding = sizeof(T) == 8 ? 1e-11 : 2e-4;

// ------------------------------------------------------------------------------------------------------- partition

template <class T>
void test_partition() {
    for (index n : {1, 2, 3, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000, 4097, 1000003})
        for (index rows : {1, 6, 50, 700, 100000})
            for (index n_sums : {0, 1, 100, 3000000}) {
                const Partition p = Partition::of<T>(n, rows, n_sums);
                CHECK(p.lanes > 0 && p.lanes % pack_size<T> == 0 && p.stride >= p.lanes);
                CHECK(p.n_chunks >= 1 && p.n_chunks <= p.n_tiles);
                CHECK(p.first_tile(0) == 0 && p.first_tile(p.n_chunks) == p.n_tiles);
                for (index chunk = 0; chunk < p.n_chunks; ++chunk)
                    CHECK(p.first_tile(chunk) < p.first_tile(chunk + 1));  // none is empty
                index seen = 0;
                bool contiguous = true;
                for (index tile = 0; tile < p.n_tiles; ++tile) {
                    contiguous &= p.first_sample(tile) == seen && p.samples_in(tile) > 0;
                    seen += p.samples_in(tile);
                }
                CHECK(contiguous && seen == n);
            }
}

// ----------------------------------------------------------------------------------------------------------- tiles

template <class T>
void test_tiles() {
    const index n_rows = 40, n_columns = 7;
    const std::vector<T> memory = numbers<T>(n_rows * n_columns, 1);
    struct View {
        index offset, n_samples, n_features, row_stride, column_stride;
    };
    const View views[] = {
        {0, n_rows, n_columns, n_columns, 1},                          // C order
        {0, n_columns, n_rows, 1, n_columns},                          // Fortran order
        {n_columns, 13, 3, 3 * n_columns, 2},                          // every third row, every second column
        {(n_rows - 1) * n_columns, n_rows, n_columns, -n_columns, 1},  // rows from the last to the first
        {n_rows * n_columns - 1, n_rows, n_columns, -n_columns, -1},   // columns as well
        {n_columns - 1, n_rows / 2, n_columns, 2 * n_columns, -1},     // odd both ways
        {5, 9, 4, 0, 1},                                               // one row, broadcast
    };
    for (const View& v : views) {
        const Samples<T> samples{memory.data() + v.offset, v.n_samples, v.n_features, v.row_stride, v.column_stride};
        const index lanes = 2 * pack_size<T>, stride = lanes + 5;
        std::vector<T> tile(static_cast<std::size_t>(v.n_features * stride), T(9));
        std::vector<T> out(static_cast<std::size_t>(v.n_samples * v.n_features + 1), T(9));
        for (index first = 0; first < v.n_samples; first += lanes) {
            const index left = v.n_samples - first, count = left < lanes ? left : lanes;
            const Rows<T> rows{tile.data(), stride};
            load_tile(samples, first, count, lanes, rows);
            bool right = true;
            for (index j = 0; j < v.n_features; ++j) {
                for (index l = 0; l < lanes; ++l) {
                    const index i = first + (l < count ? l : count - 1);  // the last sample is repeated
                    right &= rows[j][l] == samples.data[i * v.row_stride + j * v.column_stride];
                }
                for (index l = lanes; l < stride; ++l) right &= rows[j][l] == T(9);  // nothing behind the lanes
            }
            CHECK(right);
            store_tile<T>(rows, v.n_features, first, count, out.data());
        }
        bool right = out.back() == T(9);
        for (index i = 0; i < v.n_samples; ++i)
            for (index j = 0; j < v.n_features; ++j)
                right &= out[static_cast<std::size_t>(i * v.n_features + j)] ==
                         samples.data[i * v.row_stride + j * v.column_stride];
        CHECK(right);
    }
    const double weight[] = {5, 6, 7, 8};
    T loaded[pack_size<T>];
    load_weights<T>(weight, 1, 2, pack_size<T>, loaded);
    CHECK(loaded[0] == 6 && loaded[1] == 7);
    for (index l = 2; l < pack_size<T>; ++l) CHECK(loaded[l] == 0);
    load_weights<T>(nullptr, 1, 1, pack_size<T>, loaded);
    CHECK(loaded[0] == 1 && loaded[1] == 0);
}

// --------------------------------------------------------------------------------------------------- parallel loop

// Runs n tasks; true if each ran once, and no two workers of the same number at a time. The counts are plain numbers on
// purpose: ThreadSanitizer would see two tasks that share one.
bool each_task_once(index n_tasks, int n_threads) {
    struct Record {
        std::vector<int> counts;
        std::vector<std::atomic<int>> busy;
        std::atomic<bool> right;
    } record{std::vector<int>(static_cast<std::size_t>(n_tasks)),
             std::vector<std::atomic<int>>(static_cast<std::size_t>(n_threads)),
             {true}};
    parallel_for(
        n_tasks, n_threads,
        [](void* context, index task, int worker) {
            Record& r = *static_cast<Record*>(context);
            if (worker < 0 || static_cast<std::size_t>(worker) >= r.busy.size()) {
                r.right = false;
                return;
            }
            std::atomic<int>& busy = r.busy[static_cast<std::size_t>(worker)];
            if (busy.exchange(1) != 0) r.right = false;
            ++r.counts[static_cast<std::size_t>(task)];
            busy = 0;
        },
        &record);
    for (int count : record.counts)
        if (count != 1) return false;
    return record.right;
}

void test_parallel_for() {
    for (index n_tasks : {0, 1, 2, 7, 1000})
        for (int n_threads : {1, 2, 3, 16}) CHECK(each_task_once(n_tasks, n_threads));
}

void test_callers_at_once() {
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&wrong] {
            for (int repeat = 0; repeat < 20; ++repeat) wrong += !each_task_once(100, 3);
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
}

#if defined(__SANITIZE_THREAD__)
#define SCOREMATCH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SCOREMATCH_TSAN 1
#endif
#endif

// ThreadSanitizer refuses new threads in the child of a process with several.
void test_fork() {
#if defined(__unix__) && !defined(SCOREMATCH_TSAN)
    CHECK(each_task_once(100, 3));  // the parent has a pool of threads now, which the child will not have
    std::fflush(stdout);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30);  // a child that waits for threads which are not there is ended
        const bool right = each_task_once(100, 3) && each_task_once(100, 2);
        _exit(right ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(each_task_once(100, 3));
#endif
}

// ------------------------------------------------------------------------------------------------------- objective

// Forward results as given; keeps the cotangents that come back.
template <class T>
class Scripted final : public Density<T> {
  public:
    Scripted(index n_features, index curvature_rows, index lanes, unsigned seed)
        : d(n_features), rows(curvature_rows), n_lanes(lanes), results(numbers<T>((d + rows + 1) * lanes, seed)),
          cotangents(results.size()) {}

    double cost() const noexcept override { return 1; }
    index n_sums() const noexcept override { return 1; }
    void log_density(const Tile<T>&, Rows<T>, T*) const noexcept override {}
    void log_density_backward(const Tile<T>&, Rows<T>, const T*, double*) const noexcept override {}
    void gradient(const double*, double*) const override {}

    void forward(const Tile<T>&, Rows<T>, const Derivatives<T>& out) const noexcept override {
        for (index l = 0; l < n_lanes; ++l) {
            for (index j = 0; j < d; ++j) out.score[j][l] = results[at(j, l)];
            for (index j = 0; j < rows; ++j) out.curvature[j][l] = results[at(d + j, l)];
            if (out.direction) out.directional[l] = results[at(d + rows, l)];
        }
    }
    void backward(const Tile<T>&, Rows<T>, const Derivatives<T>& out, const Cotangents<T>& c,
                  double*) const noexcept override {
        for (index l = 0; l < n_lanes; ++l) {
            for (index j = 0; j < d; ++j) cotangents[at(j, l)] = c.score[j][l];
            for (index j = 0; j < rows; ++j) cotangents[at(d + j, l)] = c.curvature[j][l];
            cotangents[at(d + rows, l)] = out.direction ? c.directional[l] : T(0);
        }
    }

    std::size_t at(index row, index lane) const { return static_cast<std::size_t>(row * n_lanes + lane); }

    const index d, rows, n_lanes;
    std::vector<T> results;
    mutable std::vector<T> cotangents;
};

// A and b at one sample, from their definitions.
struct QuadraticForm {
    Doubles a, b;  // A's diagonal
    double c = 0;  // A = diag(a) + c x xᵀ
};

QuadraticForm definition(const FieldSpec& field, const Doubles& x) {
    const std::size_t d = x.size();
    QuadraticForm form{Doubles(d, 1.0), Doubles(d, 0.0)};
    for (std::size_t j = 0; j < d; ++j) {
        if (field.kind == FieldKind::sphere) {
            form.c = -1;
            form.b[j] = -static_cast<double>(d - 1) * x[j];
        } else if (field.kind == FieldKind::coordinate && field.weight == WeightFunction::log1p) {
            form.a[j] = std::log(1 + x[j]);
            form.b[j] = 1 / (1 + x[j]);
        } else if (field.kind == FieldKind::coordinate && field.weight == WeightFunction::mcp) {
            const double end = field.exponent * field.caps[j], y = std::min(x[j], end);
            form.a[j] = field.caps[j] * y - y * y / (2 * field.exponent);
            form.b[j] = x[j] < end ? field.caps[j] - x[j] / field.exponent : 0;
        } else if (field.kind == FieldKind::coordinate) {
            const bool capped = field.weight == WeightFunction::min_power && x[j] >= field.caps[j];
            form.a[j] = std::pow(capped ? field.caps[j] : x[j], field.exponent);
            form.b[j] = capped ? 0 : field.exponent * std::pow(x[j], field.exponent - 1);
        }
    }
    return form;
}

const double caps[] = {0.4, 0.6, 0.8, 0.3};

const FieldSpec fields[] = {
    {FieldKind::euclidean, WeightFunction::power, 1.0, nullptr},
    {FieldKind::sphere, WeightFunction::power, 1.0, nullptr},
    {FieldKind::coordinate, WeightFunction::power, 1.5, nullptr},
    {FieldKind::coordinate, WeightFunction::min_power, 2.0, caps},
    {FieldKind::coordinate, WeightFunction::log1p, 1.0, nullptr},
    {FieldKind::coordinate, WeightFunction::mcp, 1.5, caps},
    {FieldKind::euclidean, WeightFunction::power, 1.0, nullptr, {}, 1.5},
    {FieldKind::sphere, WeightFunction::power, 1.0, nullptr, {}, 0.5},
    {FieldKind::coordinate, WeightFunction::log1p, 1.0, nullptr, {}, 2.0},
};

// Samples on the field's domain: positive, and of length one on the sphere.
template <class T>
std::vector<T> samples_for(const FieldSpec& field, index n, index d, unsigned seed) {
    std::vector<T> x = numbers<T>(n * d, seed);
    for (T& value : x) value = std::abs(value) + T(0.05);
    if (field.kind == FieldKind::sphere)
        for (index i = 0; i < n; ++i) {
            T* const row = x.data() + i * d;
            T norm = 0;
            for (index j = 0; j < d; ++j) norm += row[j] * row[j];
            for (index j = 0; j < d; ++j) row[j] /= std::sqrt(norm);
        }
    return x;
}

// ρ against its definition, and the cotangents against central differences of Σ weight·ρ. ρ is quadratic in ψ and
// linear in ∇ψ, so that a wide step is as exact as a narrow one, and loses fewer digits.
template <class T>
void test_objective(const FieldSpec& spec) {
    const index d = 4, lanes = 2 * pack_size<T>;
    const Owner<Field<T>> field(make_field<T>(spec));
    const bool diagonal = field.get() != nullptr && field->curvature() == Curvature::diagonal;
    const bool directional = spec.kind == FieldKind::sphere;
    const index curvature_rows = diagonal ? d : 1;

    const std::vector<T> samples = samples_for<T>(spec, lanes, d, 3);
    std::vector<T> turned(samples.size());
    const Rows<T> x{turned.data(), lanes};
    load_tile(Samples<T>{samples.data(), lanes, d, d, 1}, 0, lanes, lanes, x);
    std::vector<T> weight = numbers<T>(lanes, 4);
    weight[1] = 0;

    Scripted<T> density(d, curvature_rows, lanes, 5);
    const ExactObjective<T> objective(density, field.get(), d);
    std::vector<T> norm(static_cast<std::size_t>(lanes)), hessian(norm.size());
    const auto evaluate_terms = [&](bool backward) {
        std::vector<T> workspace(static_cast<std::size_t>(objective.workspace_rows() * lanes));
        double sums[1] = {0};
        const Tile<T> tile{x, d, lanes};
        objective(tile, tile, weight.data(), {workspace.data(), lanes}, norm.data(), hessian.data(),
                  backward ? sums : nullptr);
    };
    const auto total = [&] {
        evaluate_terms(false);
        double sum = 0;
        for (std::size_t l = 0; l < norm.size(); ++l)
            sum += static_cast<double>(weight[l]) * (static_cast<double>(norm[l]) + static_cast<double>(hessian[l]));
        return sum;
    };

    evaluate_terms(true);
    for (index l = 0; l < lanes; ++l) {
        Doubles at(static_cast<std::size_t>(d));
        for (index j = 0; j < d; ++j) at[static_cast<std::size_t>(j)] = static_cast<double>(x[j][l]);
        const QuadraticForm form = definition(spec, at);
        double norm_term = 0, hessian_term = 0, along = 0;
        for (index j = 0; j < d; ++j) {
            const std::size_t k = static_cast<std::size_t>(j);
            const double psi = static_cast<double>(density.results[density.at(j, l)]);
            along += at[k] * psi;
            norm_term += 0.5 * spec.power * form.a[k] * psi * psi;
            hessian_term += form.b[k] * psi;
            if (diagonal) hessian_term += form.a[k] * static_cast<double>(density.results[density.at(d + j, l)]);
        }
        norm_term += 0.5 * spec.power * form.c * along * along;
        if (!diagonal) hessian_term += static_cast<double>(density.results[density.at(d, l)]);
        if (directional) hessian_term += form.c * static_cast<double>(density.results[density.at(d + 1, l)]);
        const std::size_t k = static_cast<std::size_t>(l);
        CHECK(close(static_cast<double>(norm[k]), norm_term, rounding<T>));
        CHECK(close(static_cast<double>(hessian[k]), hessian_term, rounding<T>));
    }

    const std::vector<T> cotangents = density.cotangents;
    const T step = T(0.5);
    for (std::size_t i = 0; i < cotangents.size(); ++i) {
        const T kept = density.results[i];
        density.results[i] = kept + step;
        const double above = total();
        density.results[i] = kept - step;
        const double below = total();
        density.results[i] = kept;
        CHECK(close(static_cast<double>(cotangents[i]), (above - below) / (2 * static_cast<double>(step)),
                    10 * rounding<T>));
    }
}

// --------------------------------------------------------------------------------------------------------- sums

// How a density gives the gradients of single samples: by rows, by going back for each of them, or not at all since its
// memory runs out.
enum class Apart { by_rows, one_by_one, fails };

// log p = −¼ Σ θ_j y_j⁴, y = x − centre: ψ_j = −θ_j y_j³, ∂ψ_j = −3 θ_j y_j². Says that it is dear, so that threads are
// used.
template <class T>
class Quartic final : public Density<T> {
  public:
    Quartic(const Doubles& theta, const Doubles& centre, Apart apart) : theta_(theta), centre_(centre), apart_(apart) {}
    const double* centre() const noexcept override { return centre_.empty() ? nullptr : centre_.data(); }
    double cost() const noexcept override { return 1e12; }
    index n_sums() const noexcept override { return size(); }

    void log_density(const Tile<T>& tile, Rows<T>, T* out) const noexcept override {
        for (index l = 0; l < tile.lanes; ++l) {
            out[l] = 0;
            for (index j = 0; j < size(); ++j) out[l] -= theta(j) * cube(tile, j, l) * tile.x[j][l] / 4;
        }
    }
    void log_density_backward(const Tile<T>& tile, Rows<T>, const T* cotangent, double* sums) const noexcept override {
        for (index j = 0; j < size(); ++j)
            for (index l = 0; l < tile.lanes; ++l)
                sums[j] -= static_cast<double>(cotangent[l] * cube(tile, j, l) * tile.x[j][l] / 4);
    }
    void forward(const Tile<T>& tile, Rows<T>, const Derivatives<T>& out) const noexcept override {
        for (index l = 0; l < tile.lanes; ++l) {
            if (out.asked == Curvature::trace) out.curvature[0][l] = 0;
            if (out.direction) out.directional[l] = 0;
            for (index j = 0; j < size(); ++j) {
                const T second = -3 * theta(j) * tile.x[j][l] * tile.x[j][l];
                out.score[j][l] = -theta(j) * cube(tile, j, l);
                if (out.asked == Curvature::diagonal) out.curvature[j][l] = second;
                if (out.asked == Curvature::trace) out.curvature[0][l] += second;
                if (out.direction) out.directional[l] += out.direction[j][l] * out.direction[j][l] * second;
            }
        }
    }
    void backward(const Tile<T>& tile, Rows<T>, const Derivatives<T>& out, const Cotangents<T>& c,
                  double* sums) const noexcept override {
        for (index j = 0; j < size(); ++j)
            for (index l = 0; l < tile.lanes; ++l) sums[j] += static_cast<double>(back(tile, out, c, j, l));
    }
    void gradient(const double* sums, double* gradient) const override {
        if (apart_ == Apart::fails) throw std::bad_alloc();
        for (index j = 0; j < size(); ++j) gradient[j] = sums[j];
    }
    bool has_gradient_rows() const noexcept override { return apart_ == Apart::by_rows; }
    void gradient_rows(const Tile<T>& tile, Rows<T>, const Derivatives<T>& results, const Cotangents<T>& c,
                       Rows<T> out) const noexcept override {
        for (index j = 0; j < size(); ++j)
            for (index l = 0; l < tile.lanes; ++l) out[j][l] = back(tile, results, c, j, l);
    }

  private:
    index size() const { return static_cast<index>(theta_.size()); }
    T theta(index j) const { return static_cast<T>(theta_[static_cast<std::size_t>(j)]); }
    static T cube(const Tile<T>& tile, index j, index l) { return tile.x[j][l] * tile.x[j][l] * tile.x[j][l]; }
    static T back(const Tile<T>& tile, const Derivatives<T>& out, const Cotangents<T>& c, index j, index l) {
        const T* const row = curvature_row(out, c, j);
        T curvature = row == nullptr ? T(0) : row[l];
        if (out.direction) curvature += c.directional[l] * out.direction[j][l] * out.direction[j][l];
        return -(c.score[j][l] * cube(tile, j, l) + 3 * curvature * tile.x[j][l] * tile.x[j][l]);
    }
    const Doubles theta_, centre_;
    const Apart apart_;
};

template <class T>
class QuarticFamily final : public Family<T> {
  public:
    explicit QuarticFamily(index n_features, const Doubles& centre = {}, Apart apart = Apart::by_rows)
        : d_(n_features), centre_(centre), apart_(apart) {}
    index n_params() const noexcept override { return d_; }
    void describe(LayoutVisitor&) const override {}
    Density<T>* at(const double* theta) const override {
        return new Quartic<T>(Doubles(theta, theta + d_), centre_, apart_);
    }

  private:
    index d_;
    Doubles centre_;
    Apart apart_;
};

struct LossAndGradient {
    double loss = 0;
    Doubles gradient;
};

// J(θ) and its gradient for the quartic about a point, by a plain loop.
LossAndGradient by_a_plain_loop(const Doubles& theta, const Doubles& x, const double* weight, const FieldSpec& field,
                                const Doubles& point) {
    const std::size_t d = theta.size(), n = x.size() / d;
    LossAndGradient result{0, Doubles(d)};
    double total_weight = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const Doubles at(x.begin() + static_cast<index>(i * d), x.begin() + static_cast<index>((i + 1) * d));
        const QuadraticForm form = definition(field, at);
        const double w = weight == nullptr ? 1 : weight[i];
        total_weight += w;
        double along = 0, rho = 0;
        Doubles y = at;
        for (std::size_t j = 0; j < d; ++j) y[j] -= point[j];
        for (std::size_t j = 0; j < d; ++j) along -= at[j] * theta[j] * std::pow(y[j], 3);
        rho += 0.5 * field.power * form.c * along * along;
        for (std::size_t j = 0; j < d; ++j) {
            const double psi = -theta[j] * std::pow(y[j], 3), second = -3 * y[j] * y[j];
            const double a = form.a[j] + form.c * at[j] * at[j];  // A's diagonal
            rho += 0.5 * field.power * form.a[j] * psi * psi + a * theta[j] * second + form.b[j] * psi;
            const double u = field.power * (form.a[j] * psi + form.c * along * at[j]) + form.b[j];
            result.gradient[j] += w * (-u * std::pow(y[j], 3) + a * second);
        }
        result.loss += w * rho;
    }
    result.loss /= total_weight;
    for (double& g : result.gradient) g /= total_weight;
    return result;
}

// With a `centre` on all of space the samples have an origin, too.
template <class T>
void test_loop(const FieldSpec& field, const Doubles& centre) {
    const Doubles theta{0.7, -0.3, 1.1, 0.2}, origin{0.5, 0.1, -0.3, 0.2};
    const index d = 4;
    const QuarticFamily<T> family(d, centre);
    const bool has_origin = !centre.empty() && field.kind == FieldKind::euclidean;
    Doubles point = centre.empty() ? Doubles(theta.size()) : centre;
    for (std::size_t j = 0; has_origin && j < point.size(); ++j) point[j] += origin[j];
    for (index n : {1, 5, 300, 4099}) {
        const std::vector<T> x = samples_for<T>(field, n, d, 7);
        const Samples<T> samples{x.data(), n, d, d, 1, has_origin ? origin.data() : nullptr};
        Doubles weight = numbers<double>(n, 8);
        for (double& w : weight) w = std::abs(w) < 0.2 ? 0 : std::abs(w);
        weight[0] = 2;
        for (const double* w : {static_cast<const double*>(nullptr), static_cast<const double*>(weight.data())}) {
            const LossAndGradient expected = by_a_plain_loop(theta, Doubles(x.begin(), x.end()), w, field, point);
            LossAndGradient first;
            for (int n_threads : {1, 2, 3, 7}) {
                LossAndGradient got{0, Doubles(static_cast<std::size_t>(d), -9.0)};
                got.loss = loss_and_gradient(family, theta.data(), samples, w, field, got.gradient.data(), n_threads);
                CHECK(close(got.loss, expected.loss, rounding<T>));
                for (std::size_t j = 0; j < theta.size(); ++j)
                    CHECK(close(got.gradient[j], expected.gradient[j], rounding<T>));
                if (n_threads == 1) first = got;
                CHECK(got.loss == first.loss && got.gradient == first.gradient);  // bit for bit
            }
            // Sample by sample the same, and its parts.
            std::vector<T> norm(static_cast<std::size_t>(n)), hessian(norm.size());
            Outputs<T> outputs;
            outputs.norm_term = norm.data();
            outputs.hessian_term = hessian.data();
            evaluate(family, theta.data(), samples, field, outputs, 2);
            double total = 0, total_weight = 0;
            for (std::size_t i = 0; i < norm.size(); ++i) {
                const double one = w == nullptr ? 1 : w[i];
                total += one * (static_cast<double>(norm[i]) + static_cast<double>(hessian[i]));
                total_weight += one;
            }
            CHECK(close(total / total_weight, expected.loss, rounding<T>));
        }
    }
}

// The gradient of each sample, with weights that are 1 for it and 0 for all others, and what follows from them.
template <class T>
void test_sample_gradients(const FieldSpec& field, const Doubles& centre) {
    const Doubles theta{0.7, -0.3, 1.1, 0.2};
    const index d = 4, n = 301;
    const std::size_t size = static_cast<std::size_t>(n), d_size = theta.size();
    const std::vector<T> x = samples_for<T>(field, n, d, 12);
    const Doubles all(x.begin(), x.end()), point = centre.empty() ? Doubles(d_size) : centre;
    const Samples<T> samples{x.data(), n, d, d, 1};
    Doubles weight = numbers<double>(n, 13), expected, products(d_size * d_size), gradient(d_size);
    for (double& w : weight) w = std::abs(w) < 0.2 ? 0 : std::abs(w);
    double loss = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const index first = static_cast<index>(i) * d;
        const Doubles one(all.begin() + first, all.begin() + first + d);
        const LossAndGradient of_one = by_a_plain_loop(theta, one, nullptr, field, point);
        expected.insert(expected.end(), of_one.gradient.begin(), of_one.gradient.end());
        loss += weight[i] * of_one.loss;
        for (std::size_t j = 0; j < d_size; ++j) {
            gradient[j] += weight[i] * of_one.gradient[j];
            for (std::size_t k = 0; k < d_size; ++k)
                products[j * d_size + k] += weight[i] * weight[i] * of_one.gradient[j] * of_one.gradient[k];
        }
    }
    const auto all_close = [](const Doubles& got, const Doubles& want) {
        double largest = 0, error = 0;
        for (std::size_t i = 0; i < want.size(); ++i) {
            largest = std::max(largest, std::abs(want[i]));
            error = std::max(error, std::abs(got[i] - want[i]));
        }
        return error <= rounding<T> * largest;
    };
    for (Apart apart : {Apart::by_rows, Apart::one_by_one}) {
        const QuarticFamily<T> family(d, centre, apart);
        LossAndGradient first;
        Doubles first_products;
        for (int n_threads : {1, 2, 3, 7}) {
            Doubles got(expected.size(), -9.0), got_products(products.size(), -9.0);
            loss_gradients(family, theta.data(), samples, field, got.data(), n_threads);
            CHECK(all_close(got, expected));
            LossAndGradient sums{0, Doubles(d_size, -9.0)};
            sums.loss = gradient_products(family, theta.data(), samples, weight.data(), field, sums.gradient.data(),
                                          got_products.data(), n_threads);
            CHECK(close(sums.loss, loss, rounding<T> * static_cast<double>(n)));
            CHECK(all_close(sums.gradient, gradient));
            CHECK(all_close(got_products, products));
            if (n_threads == 1) {
                first = sums;
                first_products = got_products;
            }
            CHECK(sums.loss == first.loss && sums.gradient == first.gradient);  // bit for bit
            CHECK(got_products == first_products);
        }
    }
}

// Memory that runs out while threads are at work is an error like any other.
template <class T>
void test_no_memory_for_a_gradient() {
    const Doubles theta{0.7, -0.3};
    const index n = 1000, d = 2;
    const std::vector<T> x = samples_for<T>(fields[0], n, d, 14);
    const Samples<T> samples{x.data(), n, d, d, 1};
    const QuarticFamily<T> family(d, {}, Apart::fails);
    Doubles rows(static_cast<std::size_t>(n * d)), gradient(2), products(4);
    int n_caught = 0;
    for (int n_threads : {1, 3}) {
        try {
            loss_gradients(family, theta.data(), samples, fields[0], rows.data(), n_threads);
        } catch (const std::bad_alloc&) {
            ++n_caught;
        }
        try {
            gradient_products(family, theta.data(), samples, nullptr, fields[0], gradient.data(), products.data(),
                              n_threads);
        } catch (const std::bad_alloc&) {
            ++n_caught;
        }
    }
    CHECK(n_caught == 4);
}

template <class T>
void test_evaluate() {
    const Doubles theta{0.7, -0.3, 1.1, 0.2};
    const index d = 4, n = 4099;
    const std::size_t size = static_cast<std::size_t>(n), all = static_cast<std::size_t>(n * d);
    const std::vector<T> x = samples_for<T>(fields[0], n, d, 9);
    for (const Doubles& centre : {Doubles{}, Doubles{0.2, -0.1, 0.3, 0.7}})
        for (int n_threads : {1, 3}) {
            std::vector<T> score(all), diagonal(all), trace(size), norm(size), hessian(size), log_density(size);
            evaluate(QuarticFamily<T>(d, centre), theta.data(), Samples<T>{x.data(), n, d, d, 1}, fields[0],
                     Outputs<T>{score.data(), diagonal.data(), trace.data(), norm.data(), hessian.data(),
                                log_density.data()},
                     n_threads);
            for (std::size_t i = 0; i < size; ++i) {
                double norm_term = 0, hessian_term = 0, log_p = 0;
                for (std::size_t j = 0; j < theta.size(); ++j) {
                    const std::size_t k = i * theta.size() + j;
                    const double at = static_cast<double>(x[k]) - (centre.empty() ? 0 : centre[j]);
                    const double psi = -theta[j] * at * at * at;
                    norm_term += 0.5 * psi * psi;
                    hessian_term -= 3 * theta[j] * at * at;
                    log_p -= theta[j] * at * at * at * at / 4;
                    CHECK(close(static_cast<double>(score[k]), psi, rounding<T>));
                    CHECK(close(static_cast<double>(diagonal[k]), -3 * theta[j] * at * at, rounding<T>));
                }
                CHECK(close(static_cast<double>(norm[i]), norm_term, rounding<T>));
                CHECK(close(static_cast<double>(hessian[i]), hessian_term, rounding<T>));
                CHECK(close(static_cast<double>(trace[i]), hessian_term, rounding<T>));
                CHECK(close(static_cast<double>(log_density[i]), log_p, rounding<T>));
            }
        }
}

// Words by which families tell their variants apart: each family has one of these at least.
const char* const variants[] = {
    "", "full", "tied", "diag", "spherical", "logcosh", "interactions", "logistic+coefficients", "linear"};
// What some of them need besides: the degree of a polynomial, or two powers.
constexpr double constants[] = {2, 0.5};

struct CountParams final : LayoutVisitor {
    void block(const char*, Packing packing, const index* shape, int n_dimensions) override {
        index size = 1;
        for (int i = 0; i < n_dimensions; ++i) size *= shape[i];
        if (packing != Packing::dense) size = size / shape[n_dimensions - 1] * (shape[n_dimensions - 1] + 1) / 2;
        n_params += size;
    }
    index n_params = 0;
};

// The same bits on any number of threads, and for several callers at once. `results(n_threads)` is a list of numbers.
template <class Results>
void check_same_bits(const Results& results) {
    const Doubles expected = results(1);
    for (double value : expected) CHECK(std::isfinite(value));
    for (int n_threads : {2, 3, 7}) CHECK(results(n_threads) == expected);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 2; ++i) callers.emplace_back([&] { wrong += results(2) != expected; });
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
}

// Every family and the moments through the table of functions, as the bindings call them. The work is above
// `serial_work`.
template <class T>
void test_same_bits() {
    const index d = 24, n = 20011;
    const std::vector<T> x = samples_for<T>(fields[2], n, d, 10);
    const Samples<T> samples{x.data(), n, d, d, 1};

    for (const char* const* family = this_level()->families; *family != nullptr; ++family) {
        int n_variants = 0;
        for (const char* variant : variants) {
            FamilySpec spec{*family, variant, d, 3, constants, 0};
            CountParams layout;
            while (!this_level()->describe(spec, layout) && spec.n_constants <= 2) ++spec.n_constants;
            if (spec.n_constants > 2) continue;
            ++n_variants;
            const Doubles theta = numbers<double>(layout.n_params, 11);
            check_same_bits([&](int n_threads) {
                Doubles results(theta.size());
                const double loss = functions<T>().loss_and_gradient(spec, theta.data(), samples, nullptr, fields[0],
                                                                     results.data(), n_threads);
                results.push_back(loss);
                Doubles products(theta.size() * theta.size()), gradient(theta.size());
                const Samples<T> fewer{x.data(), 2011, d, d, 1};
                functions<T>().gradient_products(spec, theta.data(), fewer, nullptr, fields[2], gradient.data(),
                                                 products.data(), n_threads);
                results.insert(results.end(), gradient.begin(), gradient.end());
                results.insert(results.end(), products.begin(), products.end());
                std::vector<T> terms(static_cast<std::size_t>(n));
                Outputs<T> outputs;
                outputs.hessian_term = terms.data();
                functions<T>().evaluate(spec, theta.data(), samples, fields[2], outputs, n_threads);
                results.insert(results.end(), terms.begin(), terms.end());
                return results;
            });
        }
        if (n_variants == 0) std::printf("%s: add one of its variants to the list above\n", *family);
        CHECK(n_variants > 0);
    }
    check_same_bits([&](int n_threads) {
        Doubles first(static_cast<std::size_t>(d)), results(static_cast<std::size_t>(d * d));
        const Doubles shift(static_cast<std::size_t>(d), 0.25);
        functions<T>().moments(samples, nullptr, shift.data(), false, first.data(), results.data(), n_threads);
        results.insert(results.end(), first.begin(), first.end());
        return results;
    });
}

template <class T>
void test_all() {
    test_partition<T>();
    test_tiles<T>();
    for (const FieldSpec& field : fields) {
        test_objective<T>(field);
        test_loop<T>(field, {});
        test_loop<T>(field, {0.2, -0.1, 0.3, 0.7});
        test_sample_gradients<T>(field, {});
        test_sample_gradients<T>(field, {0.2, -0.1, 0.3, 0.7});
    }
    test_no_memory_for_a_gradient<T>();
    test_evaluate<T>();
    test_same_bits<T>();
}

}  // namespace
}  // namespace scorematch

int main() {
    if (scorematch::this_level() == nullptr) return 77;  // this processor lacks the level
    scorematch::test_parallel_for();
    scorematch::test_callers_at_once();
    scorematch::test_fork();
    scorematch::test_all<double>();
    scorematch::test_all<float>();
    return check_result();
}
