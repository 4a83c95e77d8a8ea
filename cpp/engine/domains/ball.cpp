// Balls in the l1 and the l2 norm. (In the maximum norm a ball is a box.)
#include <cmath>

#include "scorematch/domains.hpp"

namespace scorematch {
namespace {

class L1Ball final : public Region {
  public:
    explicit L1Ball(double radius) : radius_(radius) {}
    index n_features() const noexcept override { return -1; }
    double cost(index d) const noexcept override { return 2.0 * static_cast<double>(d); }

    void contains(const double* x, index d, double*, bool* inside) const noexcept override {
        double slack[lanes];
        slacks(x, d, slack);
        for (int l = 0; l < lanes; ++l) inside[l] = slack[l] >= 0;
    }

    // A coordinate can grow in size by what the sum of all has left.
    void coordinate_distance(const double* x, index d, double*, double* phi, double* slope) const noexcept override {
        double slack[lanes];
        slacks(x, d, slack);
        for (index j = 0; j < d; ++j)
            for (int l = 0; l < lanes; ++l) {
                phi[j * lanes + l] = slack[l] > 0 ? slack[l] : 0;
                slope[j * lanes + l] = x[j * lanes + l] < 0 ? 1 : -1;
            }
    }

    void distance(const double* x, index d, double*, double* g, double* gradient) const noexcept override {
        const double unit = 1 / std::sqrt(static_cast<double>(d));
        slacks(x, d, g);
        for (int l = 0; l < lanes; ++l) g[l] = g[l] > 0 ? g[l] * unit : 0;
        for (index k = 0; k < d * lanes; ++k) gradient[k] = x[k] < 0 ? unit : -unit;
    }

  private:
    void slacks(const double* x, index d, double* slack) const noexcept {
        for (int l = 0; l < lanes; ++l) slack[l] = 0;
        for (index j = 0; j < d; ++j)
            for (int l = 0; l < lanes; ++l) slack[l] += std::fabs(x[j * lanes + l]);
        for (int l = 0; l < lanes; ++l) slack[l] = radius_ - slack[l];
    }

    double radius_;
};

class L2Ball final : public Region {
  public:
    explicit L2Ball(double radius) : radius_(radius) {}
    index n_features() const noexcept override { return -1; }
    double cost(index d) const noexcept override { return 5.0 * static_cast<double>(d); }

    void contains(const double* x, index d, double*, bool* inside) const noexcept override {
        double length[lanes];
        lengths(x, d, length);
        for (int l = 0; l < lanes; ++l) inside[l] = length[l] <= radius_;
    }

    // The chord ends at ±e with e² = r² − Σ_{i≠j} x_i², and e − |x_j| = (r² − ‖x‖²) / (e + |x_j|) does not cancel.
    void coordinate_distance(const double* x, index d, double*, double* phi, double* slope) const noexcept override {
        double slack[lanes];
        lengths(x, d, slack);
        for (int l = 0; l < lanes; ++l) slack[l] = slack[l] < radius_ ? (radius_ - slack[l]) * (radius_ + slack[l]) : 0;
        for (index j = 0; j < d; ++j)
            for (int l = 0; l < lanes; ++l) {
                const double value = x[j * lanes + l], size = std::fabs(value);
                const double sum = std::sqrt(slack[l] + size * size) + size;
                phi[j * lanes + l] = slack[l] > 0 ? slack[l] / sum : 0;
                slope[j * lanes + l] = value < 0 ? 1 : -1;
            }
    }

    // At the centre, where every direction is as good as any other, the gradient is 0.
    void distance(const double* x, index d, double*, double* g, double* gradient) const noexcept override {
        double length[lanes];
        lengths(x, d, length);
        for (int l = 0; l < lanes; ++l) g[l] = length[l] < radius_ ? radius_ - length[l] : 0;
        for (index j = 0; j < d; ++j)
            for (int l = 0; l < lanes; ++l) gradient[j * lanes + l] = length[l] > 0 ? -x[j * lanes + l] / length[l] : 0;
    }

  private:
    static void lengths(const double* x, index d, double* length) noexcept {
        for (int l = 0; l < lanes; ++l) length[l] = 0;
        for (index j = 0; j < d; ++j)
            for (int l = 0; l < lanes; ++l) length[l] += x[j * lanes + l] * x[j * lanes + l];
        for (int l = 0; l < lanes; ++l) length[l] = std::sqrt(length[l]);
    }

    double radius_;
};

}  // namespace

std::unique_ptr<Region> make_ball(double radius, BallNorm norm) {
    if (norm == BallNorm::l1) return std::make_unique<L1Ball>(radius);
    return std::make_unique<L2Ball>(radius);
}

}  // namespace scorematch
