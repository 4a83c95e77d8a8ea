// The parts of the samplers: reflection, great circles, tiles and how draws leave them; and that of whole runs neither
// tiles nor threads show.
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "scorematch/samplers/draw_writer.hpp"
#include "scorematch/samplers/first_step_sizes.hpp"
#include "scorematch/samplers/hamiltonian.hpp"
#include "scorematch/samplers/langevin.hpp"
#include "scorematch/samplers/sphere.hpp"
#include "scorematch/samplers/support.hpp"
#include "scorematch/samplers/tiles.hpp"
#include "this_level.hpp"

namespace scorematch {
namespace {

constexpr index width = pack_size<double>;
constexpr double inf = std::numeric_limits<double>::infinity();

// One reflection after the other.
double bounce(double x, double lower, double upper, double& sign) {
    sign = 1;
    while (x < lower || x > upper) {
        x = x < lower ? 2 * lower - x : 2 * upper - x;
        sign = -sign;
    }
    return x;
}

void test_reflection() {
    const double intervals[][2] = {{0, 1}, {-0.3, 0.2}, {-inf, 2}, {-1, inf}, {-inf, inf}, {5, 5.5}};
    for (const auto& [lower, upper] : intervals)
        for (const double x : numbers<double>(500, 3)) {
            const double from = std::isfinite(lower) ? lower : std::isfinite(upper) ? upper : 0, at = from + 4 * x;
            double sign = 0;
            const double want = bounce(at, lower, upper, sign);
            const Reflected got = reflect(broadcast(at), broadcast(lower), broadcast(upper));
            CHECK(std::abs(got.x[0] - want) < 1e-14 * (1 + std::abs(at)));
            CHECK(got.x[0] >= lower && got.x[0] <= upper);
            // On an end itself it does not matter.
            CHECK(got.sign[0] == sign || std::abs(want - lower) < 1e-14 || std::abs(want - upper) < 1e-14);
            if (at >= lower && at <= upper) CHECK(got.x[0] == at && got.sign[0] == 1);
        }
    const Pack<double> zero{}, one = broadcast(1.0);
    CHECK(reflect(zero, zero, one).x[0] == 0 && reflect(one, zero, one).x[0] == 1);
    CHECK(std::isnan(reflect(broadcast(not_a_number<double>), zero, one).x[0]));
    for (const double far : {1e7, -1e7, 123456.75}) {
        const double x = reflect(broadcast(far), zero, one).x[0];
        CHECK(x >= 0 && x <= 1);
    }
    for (const double far : {1e9, -1e300, inf, -inf}) CHECK(std::isnan(reflect(broadcast(far), zero, one).x[0]));
    CHECK(reflect(broadcast(-inf), zero, broadcast(inf)).x[0] == inf);
}

// There and back, and a known way: along the equator.
void test_great_circles() {
    constexpr index d = 3, stride = width;
    std::vector<double> x(d * stride), v(d * stride);
    const std::vector<double> start = numbers<double>(2 * d * stride, 5);
    for (index l = 0; l < width; ++l) {
        double length = 0;
        for (index j = 0; j < d; ++j) length += start[j * stride + l] * start[j * stride + l];
        for (index j = 0; j < d; ++j) {
            x[j * stride + l] = start[j * stride + l] / std::sqrt(length);
            v[j * stride + l] = 3 * start[(d + j) * stride + l];
        }
    }
    const Rows<double> x_rows{x.data(), stride}, v_rows{v.data(), stride};
    project_to_tangent(x_rows, d, 0, v_rows);
    const std::vector<double> x_before = x, v_before = v;
    move_on_great_circle(x_rows, v_rows, d, 0, broadcast(1.7));
    for (index l = 0; l < width; ++l) {
        double length = 0, across = 0, speed = 0, speed_before = 0;
        for (index j = 0; j < d; ++j) {
            length += x[j * stride + l] * x[j * stride + l];
            across += x[j * stride + l] * v[j * stride + l];
            speed += v[j * stride + l] * v[j * stride + l];
            speed_before += v_before[j * stride + l] * v_before[j * stride + l];
        }
        CHECK(std::abs(length - 1) < 1e-15 * 4 && std::abs(across) < 1e-14);
        CHECK(std::abs(speed - speed_before) < 1e-14 * (1 + speed));
    }
    for (double& value : v) value = -value;
    move_on_great_circle(x_rows, v_rows, d, 0, broadcast(1.7));
    for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK(std::abs(x[i] - x_before[i]) < 1e-14);
        CHECK(std::abs(v[i] + v_before[i]) < 1e-13);
    }
    for (index l = 0; l < width; ++l)
        for (index j = 0; j < d; ++j) {
            x[j * stride + l] = j == 0 ? 1 : 0;
            v[j * stride + l] = j == 1 && l > 0 ? 0.5 : 0;  // the first lane does not move
        }
    move_on_great_circle(x_rows, v_rows, d, 0, broadcast(2.0));
    for (index l = 0; l < width; ++l) {
        const double angle = l > 0 ? 1 : 0;
        CHECK(std::abs(x[l] - std::cos(angle)) < 1e-15 && std::abs(x[stride + l] - std::sin(angle)) < 1e-15);
        CHECK(x[2 * stride + l] == 0);
    }
}

void test_lanes_to_rows() {
    for (const index n_rows : {1, 2, 3, 7, 8, 9, 17, 24})
        for (const index count : {1, 3, 8, 13, 32}) {
            const index lanes = (count + width - 1) / width * width, stride = lanes + 8, row = n_rows + 3;
            const std::vector<double> values = numbers<double>(n_rows * stride, 1);
            std::vector<double> rows(count * row, -7.0), back(n_rows * stride, 0.0), dense(count * n_rows);
            lanes_to_rows({values.data(), stride}, n_rows, count, rows.data(), row);
            for (index l = 0; l < count; ++l)
                for (index i = 0; i < row; ++i)
                    CHECK(rows[l * row + i] == (i < n_rows ? values[i * stride + l] : -7.0));
            lanes_to_rows({values.data(), stride}, n_rows, count, dense.data(), n_rows);
            rows_to_lanes(dense.data(), n_rows, count, lanes, {back.data(), stride});
            for (index i = 0; i < n_rows; ++i)
                for (index l = 0; l < lanes; ++l)
                    CHECK(back[i * stride + l] == values[i * stride + (l < count ? l : count - 1)]);
        }
}

void test_draws() {
    constexpr index count = 5, lanes = (count + width - 1) / width * width, stride = lanes + 8;
    for (const index d : {1, 2, 3, 8, 11})
        for (const index n_draws : {0, 1, 7, 8, 21}) {
            DrawWriter writer(d, n_draws);
            std::vector<double> kept(writer.scratch_rows() * stride), draws(count * n_draws * d, -7.0), x(d * stride);
            writer.begin(draws.data(), count, lanes, {kept.data(), stride});
            for (index k = 0; k < n_draws; ++k) {
                for (index i = 0; i < d * stride; ++i) x[i] = static_cast<double>(1000 * k + i);
                writer.add({x.data(), stride});
            }
            writer.flush();
            for (index l = 0; l < count; ++l)
                for (index k = 0; k < n_draws; ++k)
                    for (index j = 0; j < d; ++j)
                        CHECK(draws[(l * n_draws + k) * d + j] == static_cast<double>(1000 * k + j * stride + l));
        }
}

// Every chain is in one tile, and threads have something to do.
void test_tiles() {
    for (const index n : {1, 2, 7, 8, 9, 63, 64, 65, 1000, 10001})
        for (const index rows : {3, 40, 1000})
            for (const int n_threads : {1, 2, 7})
                for (const bool together : {false, true}) {
                    const ChainTiles tiles(n, rows, together, n_threads);
                    index next = 0;
                    for (index i = 0; i < tiles.n_tiles(); ++i) {
                        const ChainTile tile = tiles.tile(i);
                        CHECK(tile.first == next && tile.count > 0 && tile.count <= tile.lanes);
                        CHECK(tile.lanes % width == 0);
                        next += tile.count;
                    }
                    CHECK(next == n);
                    const index packs = (n + width - 1) / width;
                    if (together) CHECK(tiles.n_tiles() == 1);
                    else CHECK(tiles.n_tiles() * 2 > (packs < n_threads ? packs : n_threads));
                }
}

// The normal distribution about a centre, which its tiles are relative to. It fills all of its workspace.
class Normal final : public Density<double> {
  public:
    static constexpr index d = 3;
    const double* centre() const noexcept override { return centre_; }
    index workspace_rows() const noexcept override { return 2; }
    double cost() const noexcept override { return 10; }
    void log_density(const Tile<double>& tile, Rows<double> workspace, double* out) const noexcept override {
        for (index l = 0; l < tile.lanes; ++l) {
            workspace[0][l] = workspace[1][l] = out[l] = 0;
            for (index j = 0; j < d; ++j) out[l] -= tile.x[j][l] * tile.x[j][l] / 2;
        }
    }
    void forward(const Tile<double>& tile, Rows<double>, const Derivatives<double>& out) const noexcept override {
        for (index j = 0; j < d; ++j)
            for (index l = 0; l < tile.lanes; ++l) out.score[j][l] = -tile.x[j][l];
    }
    void backward(const Tile<double>&, Rows<double>, const Derivatives<double>&, const Cotangents<double>&,
                  double*) const noexcept override {}
    void log_density_backward(const Tile<double>&, Rows<double>, const double*, double*) const noexcept override {}
    index n_sums() const noexcept override { return 0; }
    void gradient(const double*, double*) const override {}

  private:
    double centre_[d] = {1, -2, 0.5};
};

// All that a run returns, from chains at the centre.
struct Outcome {
    explicit Outcome(index n) : points(3 * n), step_sizes(n, 0.5), draws(9 * n), sums(2 * n), adaptation(4 * n) {
        for (index i = 0; i < 3 * n; ++i) points[i] = std::vector<double>{1, -2, 0.5}[i % 3];
    }
    std::vector<double> points, step_sizes, draws, sums, adaptation;
    RunResult result;
    Chains chains(index n, bool reflects) {
        static const double scale[] = {1, 2, 0.5};
        return {n, 3, points.data(), step_sizes.data(), scale, 5, 1000, 7, 2, draws.data(), reflects};
    }
    bool operator==(const Outcome& other) const {
        return points == other.points && step_sizes == other.step_sizes && draws == other.draws && sums == other.sums &&
               adaptation == other.adaptation && result.status == other.result.status;
    }
};

enum class Which { langevin, hamiltonian, first_step_sizes };

Outcome run_chains(Which which, const SupportSpec& spec, index n, bool together, int n_threads) {
    Normal density;
    DensityTarget target(density, Normal::d, nullptr);
    Support support(spec, n, Normal::d, true);
    Outcome out(n);
    const Chains chains = out.chains(n, true);
    if (which == Which::langevin) {
        const LangevinRun run{chains, out.sums.data()};
        out.result = run_tiles<LangevinTile>(run, n, target, support, together, n_threads);
    } else if (which == Which::hamiltonian) {
        const HamiltonianRun run{chains, out.adaptation.data(), 3, 0.1, 0.8, out.sums.data(), out.sums.data() + n};
        out.result = run_tiles<HamiltonianTile>(run, n, target, support, together, n_threads);
    } else {
        out.result = run_tiles<FirstStepSizesTile>(chains, n, target, support, together, n_threads);
    }
    return out;
}

// Neither tiles nor threads show, in any support.
void test_runs() {
    const double ends[] = {0, 2, -3, -1, 0.4, 0.6};
    const index first_interval[] = {0, 1, 2, 3};
    SupportSpec intervals, ball;
    intervals.kind = SupportKind::intervals;
    intervals.ends = ends;
    intervals.first_interval = first_interval;
    intervals.n_lists = 3;
    ball.kind = SupportKind::region;
    ball.region_scratch = 3;
    ball.region = [](const void*, const double* x, index d, double* scratch, bool* inside) noexcept {
        for (index l = 0; l < 64; ++l) {
            scratch[2] = 0;
            for (index j = 0; j < d; ++j) scratch[2] += x[j * 64 + l] * x[j * 64 + l];
            inside[l] = scratch[2] < 9;
        }
    };
    for (const SupportSpec& support : {SupportSpec{}, intervals, ball})
        for (const Which which : {Which::langevin, Which::hamiltonian, Which::first_step_sizes})
            for (const index n : {1, 77, 611}) {
                const Outcome alone = run_chains(which, support, n, false, 1);
                CHECK(alone.result.status == RunStatus::done);
                CHECK(alone == run_chains(which, support, n, true, 1));
                CHECK(alone == run_chains(which, support, n, false, 3));
                if (support.kind != SupportKind::region) continue;
                for (index i = 0; i < n; ++i) {
                    const double* const x = alone.points.data() + 3 * i;
                    CHECK(x[0] * x[0] + x[1] * x[1] + x[2] * x[2] < 9);
                }
            }
    const Outcome outside = run_chains(
        Which::langevin,
        [] {
            static const double far[] = {5, 6};
            static const index first[] = {0, 1};
            SupportSpec spec;
            spec.kind = SupportKind::intervals;
            spec.ends = far;
            spec.first_interval = first;
            spec.n_lists = 1;
            return spec;
        }(),
        77, false, 3);
    CHECK(outside.result.status == RunStatus::outside && outside.result.chain == 0);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    scorematch::test_reflection();
    scorematch::test_great_circles();
    scorematch::test_lanes_to_rows();
    scorematch::test_draws();
    scorematch::test_tiles();
    scorematch::test_runs();
    return check_result();
}
