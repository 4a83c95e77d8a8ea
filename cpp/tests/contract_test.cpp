// What family.hpp asks of every family, checked by differences: ψ against log p̃, ∇ψ and vᵀ∇ψv against ψ, and the ways
// back (sums, sample by sample, of log p̃) against the way there at other θ. Whatever is asked, with a direction or
// without, the rest stays as it is; and what is not asked is not there to be touched: its rows are null.
//
// To add a family, or a variant of one, add a line to `cases`: it is all that there is to do. With the name of a family
// as its argument the test takes that family alone.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "check.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/owner.hpp"
#include "this_level.hpp"

SCOREMATCH_BEGIN_LEVEL

#define SCOREMATCH_FAMILY(family) \
    template <class T>            \
    Family<T>* make_##family(const FamilySpec&);
#include "families.inc"
#undef SCOREMATCH_FAMILY

namespace {

using Doubles = std::vector<double>;

// Where the points are: anywhere, where all coordinates are positive, or where they add up to less than 1 besides.
enum class Points { anywhere, positive, simplex };

struct Case {
    const char* family;
    const char* variant;
    index n_features, n_components;
    Doubles constants;
    double theta_scale = 1;  // θ is between −this and this
    Points points = Points::anywhere;
};

const Case cases[] = {
    {"gaussian", "full", 1, 0, {}},
    {"gaussian", "full", 7, 0, {}},
    {"gaussian", "diag", 3, 0, {}},
    {"gaussian", "spherical", 3, 0, {}},
    {"von_mises_fisher", "", 3, 0, {}},
    {"ica", "logcosh", 3, 3, {}},
    {"ica", "logistic", 2, 2, {}},
    {"ica", "logistic", 2, 3, {0.5, -1.5, 2.0}},
    {"ica", "logcosh+coefficients", 2, 9, {}},
    {"ica", "logistic+coefficients", 7, 8, {}, 0.3},
    {"product_of_student_t", "", 3, 7, {}},
    {"gaussian_bernoulli_rbm", "", 3, 5, {}},
    {"gaussian_bernoulli_rbm", "", 2, 9, {0.7}},
    {"polynomial_exponential_family", "interactions", 2, 0, {1.0}},
    {"polynomial_exponential_family", "interactions", 3, 0, {4.0, 0.3, -0.2, 0.7, 2.0, 1.5, 0.5}, 0.3},
    {"polynomial_exponential_family", "interactions", 7, 0, {2.0}},
    {"polynomial_exponential_family", "powers", 3, 0, {4.0, 0.3, -0.2, 0.7, 2.0, 1.5, 0.5}},
    {"polynomial_exponential_family", "powers", 2, 0, {1.0}},
    {"pairwise_interaction", "linear", 7, 0, {0.5, 0.5}, 1, Points::positive},
    {"pairwise_interaction", "interaction", 3, 0, {1.0, 1.0}},
    {"pairwise_interaction", "linear", 3, 0, {2.0, 1.5}, 0.3, Points::positive},
    {"pairwise_interaction", "linear", 2, 0, {0.0, 0.0}, 1, Points::positive},
    {"pairwise_interaction", "simplex linear", 3, 0, {0.0, 0.0}, 1, Points::simplex},
    {"pairwise_interaction", "simplex linear", 2, 0, {1.5, 0.5}, 1, Points::simplex},
    {"pairwise_interaction", "simplex interaction", 2, 0, {0.5, 0.0}, 1, Points::simplex},
    {"gaussian_mixture", "full", 1, 3, {}},
    {"gaussian_mixture", "full", 2, 8, {0.01}},
    {"gaussian_mixture", "full", 3, 2, {}, 0.7},
    {"gaussian_mixture", "full", 4, 3, {}, 0.5},
    {"gaussian_mixture", "full", 5, 2, {}, 0.4},
    {"gaussian_mixture", "full", 6, 3, {0.1}, 0.4},
    {"gaussian_mixture", "full", 7, 5, {0.1}, 0.4},
    {"gaussian_mixture", "full", 13, 4, {}, 0.3},
    {"gaussian_mixture", "tied", 1, 2, {}},
    {"gaussian_mixture", "tied", 2, 5, {}},
    {"gaussian_mixture", "tied", 3, 3, {0.1}},
    {"gaussian_mixture", "tied", 6, 4, {}, 0.5},
    {"gaussian_mixture", "tied", 8, 2, {}, 0.5},
    {"gaussian_mixture", "tied", 17, 3, {}, 0.3},
    {"gaussian_mixture", "diag", 1, 1, {}},
    {"gaussian_mixture", "diag", 2, 3, {}},
    {"gaussian_mixture", "diag", 4, 3, {0.1}},
    {"gaussian_mixture", "diag", 7, 2, {}},
    {"gaussian_mixture", "diag", 11, 3, {}},
    {"gaussian_mixture", "spherical", 2, 4, {}},
    {"gaussian_mixture", "spherical", 9, 3, {0.1}},
    {"student_t", "", 1, 0, {}},
    {"student_t", "", 2, 0, {4.0}},
    {"student_t", "", 5, 0, {}, 0.5},
    {"student_t", "", 19, 0, {}, 0.3},
};

template <class T>
Family<T>* make_family(const Case& c) {
    const FamilySpec spec{c.family,       c.variant,          c.n_features,
                          c.n_components, c.constants.data(), static_cast<index>(c.constants.size())};
#define SCOREMATCH_FAMILY(family) \
    if (std::strcmp(spec.name, #family) == 0) return make_##family<T>(spec);
#include "families.inc"
#undef SCOREMATCH_FAMILY
    return nullptr;
}

std::size_t size(index n) { return static_cast<std::size_t>(n); }

// Rows of lanes with memory of their own, not a number at first.
template <class T>
class Block {
  public:
    Block(index n_rows, index lanes)
        : lanes_(lanes), stride_(lanes + pack_size<T>),
          data_(size(n_rows * stride_), std::numeric_limits<T>::quiet_NaN()) {}
    Block(const Doubles& values, index lanes) : Block(static_cast<index>(values.size()) / lanes, lanes) {
        for (std::size_t i = 0; i < values.size(); ++i)
            data_[i / size(lanes) * size(stride_) + i % size(lanes)] = static_cast<T>(values[i]);
    }
    Rows<T> rows() { return data_.empty() ? Rows<T>{} : Rows<T>{data_.data(), stride_}; }
    void append_to(Doubles& out) const {
        for (std::size_t i = 0; i < data_.size(); ++i)
            if (static_cast<index>(i) % stride_ < lanes_) out.push_back(static_cast<double>(data_[i]));
    }
    Doubles values() const {
        Doubles out;
        append_to(out);
        return out;
    }

  private:
    index lanes_, stride_;
    std::vector<T> data_;
};

struct Question {
    Curvature asked;
    bool direction;
};
const Question questions[] = {{Curvature::none, false}, {Curvature::none, true},      {Curvature::trace, false},
                              {Curvature::trace, true}, {Curvature::diagonal, false}, {Curvature::diagonal, true}};

// Rows of lanes, one after the other.
struct Answer {
    Doubles score, curvature, directional;
};

// A family at one θ and a tile of points, (n_features, lanes).
template <class T>
class Evaluation {
  public:
    Evaluation(const Family<T>& family, const Doubles& theta, index n_features, const Doubles& points,
               Doubles direction)
        : d_(n_features), lanes_(static_cast<index>(points.size()) / d_), n_params_(static_cast<index>(theta.size())),
          density_(family.at(theta.data())), x_(about_centre(points), lanes_), direction_(direction, lanes_),
          tile_{x_.rows(), d_, lanes_, {}, 0, lanes_} {}

    Answer forward(Question question) { return Passage(*this, question, density_->workspace_rows()).answer(); }
    Doubles log_density() {
        Block<T> workspace = make_workspace(), out(1, lanes_);
        density_->log_density(tile_, workspace.rows(), out.rows()[0]);
        return out.values();
    }
    Answer log_density_and_score(Doubles& log_density) {
        Block<T> workspace = make_workspace(), out(1, lanes_), score(d_, lanes_);
        density_->log_density_and_score(tile_, workspace.rows(), out.rows()[0], score.rows());
        log_density = out.values();
        return {score.values(), {}, {}};
    }
    Doubles backward(Question question, const Answer& cotangents) {
        Passage passage(*this, question, density_->workspace_rows());
        CotangentRows c(cotangents, question, lanes_);
        Doubles sums(size(density_->n_sums()));
        density_->backward(tile_, passage.workspace.rows(), passage.results, c.of, sums.data());
        return gradient(sums);
    }
    Doubles log_density_backward(const Doubles& cotangent) {
        Block<T> workspace = make_workspace(), c(cotangent, lanes_);
        Doubles sums(size(density_->n_sums()));
        density_->log_density_backward(tile_, workspace.rows(), c.rows()[0], sums.data());
        return gradient(sums);
    }
    bool has_gradient_rows() const { return density_->has_gradient_rows(); }
    Doubles gradient_rows(Question question, const Answer& cotangents) {
        density_->prepare_gradient_rows(question.asked);
        Passage passage(*this, question, density_->gradient_workspace_rows());
        CotangentRows c(cotangents, question, lanes_);
        Block<T> out(n_params_, lanes_);
        density_->gradient_rows(tile_, passage.workspace.rows(), passage.results, c.of, out.rows());
        return out.values();
    }

  private:
    // A forward, and what it leaves.
    struct Passage {
        Passage(Evaluation& at, Question question, index workspace_rows)
            : workspace(workspace_rows, at.lanes_), score(at.d_, at.lanes_),
              curvature(rows_of(question.asked, at.d_), at.lanes_), directional(question.direction ? 1 : 0, at.lanes_),
              results{score.rows(), question.asked, curvature.rows(),
                      question.direction ? Rows<const T>(at.direction_.rows()) : Rows<const T>(),
                      directional.rows().data} {
            at.density_->forward(at.tile_, workspace.rows(), results);
        }
        Answer answer() const { return {score.values(), curvature.values(), directional.values()}; }

        Block<T> workspace, score, curvature, directional;
        Derivatives<T> results;
    };
    struct CotangentRows {
        CotangentRows(const Answer& c, Question question, index lanes)
            : score(c.score, lanes), curvature(question.asked == Curvature::none ? Doubles() : c.curvature, lanes),
              directional(question.direction ? c.directional : Doubles(), lanes),
              of{score.rows(), curvature.rows(), directional.rows().data} {}
        Block<T> score, curvature, directional;
        Cotangents<T> of;
    };

    Doubles about_centre(const Doubles& points) const {
        Doubles x = points;
        const double* const centre = density_->centre();
        for (std::size_t i = 0; centre != nullptr && i < x.size(); ++i) x[i] -= centre[i / size(lanes_)];
        return x;
    }
    Block<T> make_workspace() const { return Block<T>(density_->workspace_rows(), lanes_); }
    Doubles gradient(const Doubles& sums) const {
        Doubles out(size(n_params_), std::numeric_limits<double>::quiet_NaN());
        density_->gradient(sums.data(), out.data());
        return out;
    }

    index d_, lanes_, n_params_;
    Owner<Density<T>> density_;
    Block<T> x_, direction_;
    Tile<T> tile_;
};

// Whether they differ by no more than this much of the largest; what is not a number is wrong.
bool agree(const Doubles& got, const Doubles& want, double tolerance) {
    if (got.size() != want.size()) return false;
    double largest = 1e-3;
    for (double w : want) largest = std::max(largest, std::abs(w));
    for (std::size_t i = 0; i < want.size(); ++i)
        if (!(std::abs(got[i] - want[i]) <= tolerance * largest)) return false;
    return true;
}

// The derivative of a list of numbers f(t) at t = 0, but for terms in h⁴.
template <class Function>
Doubles derivative(const Function& f) {
    const double h = 1e-3;
    const Doubles far_below = f(-2 * h), below = f(-h), above = f(h), far_above = f(2 * h);
    Doubles out(above.size());
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = (8 * (above[i] - below[i]) - (far_above[i] - far_below[i])) / (12 * h);
    return out;
}

Doubles scaled(Doubles x, double factor) {
    for (double& value : x) value *= factor;
    return x;
}

// A family with its θ, points, directions and cotangents.
class Trial {
  public:
    Trial(const Case& c, index lanes)
        : case_(c), d_(c.n_features), lanes_(lanes), family_(make_family<double>(c)),
          theta_(rounded(scaled(numbers<double>(family_->n_params(), 21), c.theta_scale))),
          points_(rounded(scaled(numbers<double>(d_ * lanes, 22), 2))),
          direction_(rounded(numbers<double>(d_ * lanes, 23))),
          cotangents_{rounded(numbers<double>(d_ * lanes, 24)), rounded(numbers<double>(d_ * lanes, 25)),
                      rounded(numbers<double>(lanes, 26))} {
        if (c.points == Points::positive)
            for (double& x : points_) x = 0.25 + std::abs(x);
        if (c.points == Points::simplex)
            for (double& x : points_) x = (2 + std::abs(x)) / (5 * static_cast<double>(d_));
    }

    void test_by_differences() {
        name_ = "forward";
        test_forward();
        name_ = "backward";
        test_backward();
        name_ = "log density";
        test_log_density();
    }

    // The kernels of the other type are the same text with packs of another length, so that it is enough to see that
    // both find the same.
    void test_float() {
        name_ = "float";
        const Owner<Family<float>> family(make_family<float>(case_));
        const auto single = [&] { return at<float>(*family, theta_, points_); };
        for (const Question& question : questions) {
            const Answer answer = single().forward(question), want = here().forward(question), c = cotangents(question);
            check("score", answer.score, want.score, 1e-3);
            check("curvature", answer.curvature, want.curvature, 1e-3);
            check("directional", answer.directional, want.directional, 1e-3);
            check("backward", single().backward(question, c), here().backward(question, c), 1e-3);
            if (single().has_gradient_rows())
                check("gradient rows", single().gradient_rows(question, c), here().gradient_rows(question, c), 1e-3);
        }
        Doubles shared, want;
        check("score with log density", single().log_density_and_score(shared).score,
              here().log_density_and_score(want).score, 1e-3);
        check("log density with score", shared, want, 1e-3);
        check("log density backward", single().log_density_backward(cotangents_.directional),
              here().log_density_backward(cotangents_.directional), 1e-3);
    }

  private:
    // What a float holds: both types of number see the same.
    static Doubles rounded(Doubles x) {
        for (double& value : x) value = static_cast<double>(static_cast<float>(value));
        return x;
    }
    void check(const char* what, const Doubles& got, const Doubles& want, double tolerance = 1e-7) const {
        if (agree(got, want, tolerance)) return;
        std::printf("%s %s, %td features, %td components, %s:\n", case_.family, case_.variant, case_.n_features,
                    case_.n_components, name_);
        check::fail(__FILE__, __LINE__, what);
    }
    template <class T = double>
    Evaluation<T> at(const Family<T>& family, const Doubles& theta, const Doubles& points) const {
        return Evaluation<T>(family, theta, d_, points, direction_);
    }
    Evaluation<double> here() const { return at(*family_, theta_, points_); }
    Evaluation<double> at_theta(index k, double step) const {
        Doubles theta = theta_;
        theta[size(k)] += step;
        return at(*family_, theta, points_);
    }
    // Along coordinate j, or along the directions.
    Evaluation<double> at_points(index j, double step) const {
        Doubles points = points_;
        for (index l = 0; l < lanes_; ++l) points[size(j * lanes_ + l)] += step;
        return at(*family_, theta_, points);
    }
    Evaluation<double> along(double step) const {
        Doubles points = points_;
        for (std::size_t i = 0; i < points.size(); ++i) points[i] += step * direction_[i];
        return at(*family_, theta_, points);
    }
    Doubles row(const Doubles& rows, index j) const {
        return Doubles(rows.begin() + j * lanes_, rows.begin() + (j + 1) * lanes_);
    }
    Doubles sum_of_rows(const Doubles& rows) const {
        Doubles out(size(lanes_));
        for (std::size_t i = 0; i < rows.size(); ++i) out[i % size(lanes_)] += rows[i];
        return out;
    }
    // Where the trace is asked for, the cotangent of the curvature is one row.
    Answer cotangents(Question question) const {
        Answer c = cotangents_;
        if (question.asked == Curvature::trace) c.curvature = row(c.curvature, 0);
        return c;
    }
    Doubles zero_but(const Doubles& rows, index lane) const {
        Doubles out(rows.size());
        for (std::size_t i = 0; i < out.size(); ++i)
            if (static_cast<index>(i) % lanes_ == lane) out[i] = rows[i];
        return out;
    }

    void test_forward() const {
        const Doubles log_density = here().log_density();
        const Answer all = here().forward({Curvature::diagonal, true});
        for (index j = 0; j < d_; ++j) {
            check("score", row(all.score, j), derivative([&](double t) { return at_points(j, t).log_density(); }));
            check("diagonal", row(all.curvature, j), derivative([&](double t) {
                      return row(at_points(j, t).forward({Curvature::none, false}).score, j);
                  }));
        }
        Doubles products = derivative([&](double t) { return along(t).forward({Curvature::none, false}).score; });
        for (std::size_t i = 0; i < products.size(); ++i) products[i] *= direction_[i];
        check("directional", all.directional, sum_of_rows(products));

        for (const Question& question : questions) {
            const Answer answer = here().forward(question);
            check("the same score", answer.score, all.score, 1e-12);
            if (question.asked == Curvature::trace) check("trace", answer.curvature, sum_of_rows(all.curvature), 1e-12);
            if (question.asked == Curvature::diagonal)
                check("the same diagonal", answer.curvature, all.curvature, 1e-12);
            if (question.direction) check("the same directional", answer.directional, all.directional, 1e-12);
        }
        Doubles shared;
        check("score with log density", here().log_density_and_score(shared).score, all.score, 1e-12);
        check("log density with score", shared, log_density, 1e-12);
    }

    // For each parameter the derivatives of all that a forward gives, and with them those of every sum of it.
    void test_backward() const {
        const std::size_t n_params = theta_.size();
        std::vector<Answer> slopes(n_params);
        for (std::size_t k = 0; k < n_params; ++k) {
            const Doubles all = derivative([&](double t) {
                const Answer a = at_theta(static_cast<index>(k), t).forward({Curvature::diagonal, true});
                Doubles list = a.score;
                list.insert(list.end(), a.curvature.begin(), a.curvature.end());
                list.insert(list.end(), a.directional.begin(), a.directional.end());
                return list;
            });
            const auto second = all.begin() + d_ * lanes_, third = second + d_ * lanes_;
            slopes[k] = {Doubles(all.begin(), second), Doubles(second, third), Doubles(third, all.end())};
        }
        for (const Question& question : questions) {
            const Answer c = cotangents(question);
            Doubles rows(n_params * size(lanes_)), total(n_params);
            for (std::size_t k = 0; k < n_params; ++k)
                for (std::size_t l = 0; l < size(lanes_); ++l) {
                    double& out = rows[k * size(lanes_) + l];
                    for (std::size_t j = 0; j < size(d_); ++j) {
                        const std::size_t i = j * size(lanes_) + l;
                        out += c.score[i] * slopes[k].score[i];
                        if (question.asked != Curvature::none)
                            out += c.curvature[question.asked == Curvature::trace ? l : i] * slopes[k].curvature[i];
                    }
                    if (question.direction) out += c.directional[l] * slopes[k].directional[l];
                    total[k] += out;
                }
            check("backward", here().backward(question, c), total);
            if (here().has_gradient_rows()) check("gradient rows", here().gradient_rows(question, c), rows);
        }
    }

    void test_log_density() const {
        Doubles cotangent = numbers<double>(lanes_, 27);
        double mean = 0;
        for (double c : cotangent) mean += c / static_cast<double>(lanes_);
        for (double& c : cotangent) c -= mean;
        Doubles expected;
        for (std::size_t k = 0; k < theta_.size(); ++k) {
            const Doubles slope =
                derivative([&](double t) { return at_theta(static_cast<index>(k), t).log_density(); });
            double total = 0;
            for (std::size_t l = 0; l < slope.size(); ++l) total += cotangent[l] * slope[l];
            expected.push_back(total);
        }
        check("log density backward", here().log_density_backward(cotangent), expected);
    }

    const Case& case_;
    const char* name_ = "";
    index d_, lanes_;
    Owner<Family<double>> family_;
    Doubles theta_, points_, direction_;
    Answer cotangents_;
};

bool has_case(const char* family) {
    for (const Case& c : cases)
        if (std::strcmp(family, c.family) == 0) return true;
    std::printf("%s: add it to the list of cases\n", family);
    return false;
}

// All families, or one. Seven packs take all loops through their lengths: four packs at a time, two, and one.
void test_all(const char* family) {
#define SCOREMATCH_FAMILY(name) CHECK(has_case(#name));
#include "families.inc"
#undef SCOREMATCH_FAMILY
    for (const Case& c : cases) {
        if (family != nullptr && std::strcmp(family, c.family) != 0) continue;
        Trial(c, 7 * pack_size<double>).test_by_differences();
        Trial(c, 7 * pack_size<float>).test_float();
    }
}

}  // namespace
SCOREMATCH_END_LEVEL

int main(int n_arguments, char** arguments) {
    if (!processor_has_level()) return skipped;
    scorematch::test_all(n_arguments > 1 ? arguments[1] : nullptr);
    return check_result();
}
