// A union of intervals for each coordinate; boxes and the orthant are such.
#include <cmath>
#include <utility>

#include "scorematch/domains.hpp"

namespace scorematch {
namespace {

class IntervalsRegion final : public Region {
  public:
    explicit IntervalsRegion(std::vector<std::vector<Interval>> intervals) : intervals_(std::move(intervals)) {}

    index n_features() const noexcept override { return intervals_.size() == 1 ? -1 : size(); }
    double cost(index d) const noexcept override { return 2.0 * static_cast<double>(d); }

    void contains(const double* x, index d, double*, bool* inside) const noexcept override {
        for (int l = 0; l < lanes; ++l) inside[l] = true;
        for (index j = 0; j < d; ++j) {
            bool found[lanes] = {};
            for (const Interval& interval : of(j))
                for (int l = 0; l < lanes; ++l)
                    found[l] |= (x[j * lanes + l] >= interval.lower) & (x[j * lanes + l] <= interval.upper);
            for (int l = 0; l < lanes; ++l) inside[l] &= found[l];
        }
    }

    void coordinate_distance(const double* x, index d, double*, double* phi, double* slope) const noexcept override {
        for (index k = 0; k < d * lanes; ++k) phi[k] = slope[k] = 0;
        for (index j = 0; j < d; ++j)
            for (const Interval& interval : of(j))
                for (index k = j * lanes; k < (j + 1) * lanes; ++k) {
                    const double below = x[k] - interval.lower, above = interval.upper - x[k];
                    const double nearest = below <= above ? below : above;
                    const double side = nearest == HUGE_VAL ? 0.0 : below <= above ? 1.0 : -1.0;
                    const bool here = nearest >= 0;
                    phi[k] = here ? nearest : phi[k];
                    slope[k] = here ? side : slope[k];
                }
    }

    void distance(const double* x, index d, double* scratch, double* g, double* gradient) const noexcept override {
        double* const phi = scratch;
        coordinate_distance(x, d, nullptr, phi, gradient);
        index nearest[lanes] = {};
        for (int l = 0; l < lanes; ++l) g[l] = phi[l];
        for (index j = 1; j < d; ++j)
            for (int l = 0; l < lanes; ++l) {
                const bool nearer = phi[j * lanes + l] < g[l];
                g[l] = nearer ? phi[j * lanes + l] : g[l];
                nearest[l] = nearer ? j : nearest[l];
            }
        for (index j = 0; j < d; ++j)
            for (int l = 0; l < lanes; ++l) gradient[j * lanes + l] *= nearest[l] == j ? 1.0 : 0.0;
    }
    index scratch_size(index d) const noexcept override { return d * lanes; }

  private:
    index size() const noexcept { return static_cast<index>(intervals_.size()); }
    const std::vector<Interval>& of(index j) const noexcept {
        return intervals_[size() == 1 ? 0 : static_cast<std::size_t>(j)];
    }

    std::vector<std::vector<Interval>> intervals_;
};

}  // namespace

std::unique_ptr<Region> make_intervals(std::vector<std::vector<Interval>> intervals) {
    return std::make_unique<IntervalsRegion>(std::move(intervals));
}

}  // namespace scorematch
