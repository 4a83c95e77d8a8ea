// Polytopes, as the half-spaces Ax ≤ b. With the slack s_k = b_k − (Ax)_k, coordinate j reaches the side k after a way
// of s_k / |a_kj|, upwards where a_kj > 0, and x itself after s_k / ‖a_k‖. Of a convex region from inside that is all.
#include <cmath>
#include <utility>

#include "scorematch/domains.hpp"

namespace scorematch {
namespace {

class HalfSpaces final : public Region {
  public:
    HalfSpaces(std::vector<double> a, std::vector<double> b, index d) : a_(std::move(a)), b_(std::move(b)), d_(d) {
        const index m = n_sides();
        inverse_.resize(a_.size());
        for (std::size_t k = 0; k < a_.size(); ++k) inverse_[k] = a_[k] == 0 ? 0 : 1 / std::fabs(a_[k]);
        for (index k = 0; k < m; ++k) {
            double length = 0;
            for (index j = 0; j < d_; ++j) length = std::hypot(length, row(a_, k)[j]);
            for (index j = 0; j < d_; ++j) normal_.push_back(row(a_, k)[j] / length);
            inverse_length_.push_back(1 / length);
        }
    }

    index n_features() const noexcept override { return d_; }
    double cost(index d) const noexcept override { return 0.5 * static_cast<double>(n_sides() * d); }

    void contains(const double* x, index, double*, bool* inside) const noexcept override {
        for (int l = 0; l < lanes; ++l) inside[l] = true;
        double slack[lanes];
        for (index k = 0; k < n_sides(); ++k) {
            slacks(x, k, slack);
            for (int l = 0; l < lanes; ++l) inside[l] &= slack[l] >= 0;
        }
    }

    void coordinate_distance(const double* x, index d, double* scratch, double* phi,
                             double* slope) const noexcept override {
        double* const slack = scratch;  // (sides, lanes)
        for (index k = 0; k < n_sides(); ++k) {
            slacks(x, k, slack + k * lanes);
            for (int l = 0; l < lanes; ++l) slack[k * lanes + l] = slack[k * lanes + l] > 0 ? slack[k * lanes + l] : 0;
        }
        for (index j = 0; j < d; ++j) {
            double upwards[lanes], downwards[lanes];
            for (int l = 0; l < lanes; ++l) upwards[l] = downwards[l] = HUGE_VAL;
            for (index k = 0; k < n_sides(); ++k) {
                if (row(a_, k)[j] == 0) continue;
                const double inverse = row(inverse_, k)[j];
                double* const way = row(a_, k)[j] > 0 ? upwards : downwards;
                for (int l = 0; l < lanes; ++l) {
                    const double reach = slack[k * lanes + l] * inverse;
                    way[l] = reach < way[l] ? reach : way[l];
                }
            }
            for (int l = 0; l < lanes; ++l) {
                const bool up = upwards[l] < downwards[l];
                const double nearest = up ? upwards[l] : downwards[l];
                phi[j * lanes + l] = nearest;
                slope[j * lanes + l] = nearest == HUGE_VAL ? 0.0 : up ? -1.0 : 1.0;
            }
        }
    }
    index scratch_size(index) const noexcept override { return n_sides() * lanes; }

    void distance(const double* x, index d, double*, double* g, double* gradient) const noexcept override {
        index nearest[lanes] = {};
        double slack[lanes];
        for (int l = 0; l < lanes; ++l) g[l] = HUGE_VAL;
        for (index k = 0; k < n_sides(); ++k) {
            slacks(x, k, slack);
            for (int l = 0; l < lanes; ++l) {
                const double way = slack[l] * inverse_length_[static_cast<std::size_t>(k)];
                const bool nearer = way < g[l];
                g[l] = nearer ? way : g[l];
                nearest[l] = nearer ? k : nearest[l];
            }
        }
        for (int l = 0; l < lanes; ++l) {
            g[l] = g[l] > 0 ? g[l] : 0;
            for (index j = 0; j < d; ++j) gradient[j * lanes + l] = -row(normal_, nearest[l])[j];
        }
    }

  private:
    index n_sides() const noexcept { return static_cast<index>(b_.size()); }
    const double* row(const std::vector<double>& matrix, index k) const noexcept { return matrix.data() + k * d_; }

    void slacks(const double* x, index k, double* slack) const noexcept {
        for (int l = 0; l < lanes; ++l) slack[l] = b_[static_cast<std::size_t>(k)];
        for (index j = 0; j < d_; ++j) {
            const double a = row(a_, k)[j];
            if (a == 0) continue;
            for (int l = 0; l < lanes; ++l) slack[l] -= a * x[j * lanes + l];
        }
    }

    std::vector<double> a_, b_, inverse_, normal_, inverse_length_;
    index d_;
};

}  // namespace

std::unique_ptr<Region> make_half_spaces(std::vector<double> a, std::vector<double> b, index n_features) {
    return std::make_unique<HalfSpaces>(std::move(a), std::move(b), n_features);
}

}  // namespace scorematch
