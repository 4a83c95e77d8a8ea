// Epochs on minibatches: the rows that are gathered, Adam's step, the threads. (That the whole is Adam on the objective
// of each family is tested from Python, against an implementation of its own.)
#include "scorematch/minibatches.hpp"

#include <cmath>
#include <vector>

#include "check.hpp"
#include "this_level.hpp"

namespace scorematch {
namespace {

using Doubles = std::vector<double>;

template <class T>
void test_gather() {
    const index n = 40, d = 37;
    const std::vector<T> memory = numbers<T>(n * d, 1);
    const Samples<T> views[] = {
        {memory.data(), n, d, d, 1},                       // C order
        {memory.data(), d, n, 1, d},                       // Fortran order
        {memory.data() + (n - 1) * d, n, d, -d, 1},        // rows from the last to the first
        {memory.data() + n * d - 1, n / 2, 9, -2 * d, -3}  // every second row and third column, from the end
    };
    for (const Samples<T>& x : views) {
        const index rows[] = {3, 0, x.n_samples - 1, 3, 7, 1, 2, 4, 5, 6, 8, 9, 10};
        std::vector<T> out(static_cast<std::size_t>(13 * x.n_features + 1), T(9));
        gather(x, rows, 13, out.data());
        bool right = out.back() == T(9);
        for (index i = 0; i < 13; ++i)
            for (index j = 0; j < x.n_features; ++j)
                right &= out[static_cast<std::size_t>(i * x.n_features + j)] ==
                         x.data[rows[i] * x.row_stride + j * x.column_stride];
        CHECK(right);
    }
}

// With a gradient that stays the same both moments are exact after the first step already, and every step has the
// length of the learning rate, in units of the scale.
void test_step() {
    const Doubles slope{3.0, -0.02, 0.0}, scale{2.0, 1e-3, 5.0};
    Doubles theta{1.0, 1.0, 1.0}, first(3), second(3);
    Minibatches state{};
    state.scale = scale.data();
    state.unit = 4.0;
    state.theta = theta.data();
    state.first_moment = first.data();
    state.second_moment = second.data();
    const double rates[] = {0.1, 0.05};
    double walked = 0;
    for (const double rate : rates) {
        Doubles gradient = slope;
        Adam::step(gradient.data(), 3, rate, state);
        walked += rate;
        CHECK(std::abs(theta[0] - (1 - 2.0 * walked)) < 1e-7);
        // The slope 0.02 · 10⁻³ / 4 = 5·10⁻⁶ is not so far above ε = 10⁻⁸.
        CHECK(std::abs(theta[1] - (1 + 1e-3 * walked / (1 + 1e-8 / 5e-6))) < 1e-12);
        CHECK(theta[2] == 1.0);
    }
    CHECK(state.n_steps == 2);
}

// Rows of unit length stay so, and see nothing of a slope that would only make them longer; then come a free number and
// a positive one, which moves by a factor.
void test_constraints() {
    const Doubles scale{2.0, 2.0, 1e-3, 1e-3, 1.0, 1.0};
    Doubles theta{2.0 * 0.6, 2.0 * 0.8, 0.0, 1e-3, 7.0, 0.5}, first(6), second(6);
    Minibatches state{};
    state.scale = scale.data();
    state.unit = 1.0;
    state.n_unit_rows = state.unit_row_length = 2;
    state.n_positive = 1;
    state.theta = theta.data();
    state.first_moment = first.data();
    state.second_moment = second.data();
    // Along the first row and across the second, in units of 1/scale.
    Doubles gradient{0.6 / 2.0, 0.8 / 2.0, 5.0 / 1e-3, 0.0, 1.0, -3.0};
    Adam::step(gradient.data(), 6, 0.1, state);
    CHECK(std::abs(theta[0] / 2.0 - 0.6) < 1e-9 && std::abs(theta[1] / 2.0 - 0.8) < 1e-9);
    const double length = std::hypot(0.1, 1.0);
    CHECK(std::abs(theta[2] / 1e-3 + 0.1 / length) < 1e-7 && std::abs(theta[3] / 1e-3 - 1 / length) < 1e-7);
    CHECK(std::abs(theta[4] - 6.9) < 1e-7);
    CHECK(std::abs(theta[5] - 0.5 * std::exp(0.1)) < 1e-7);
}

// Enough work for threads, and enough batches for them to be given up and tried again.
template <class T>
void test_same_bits() {
    const index n = 3000, d = 24, m = 24, batch_size = 400;
    const std::vector<T> x = numbers<T>(n * d, 2);
    const Samples<T> samples{x.data(), n, d, d, 1};
    const FamilySpec spec{"ica", "logcosh", d, m, nullptr, 0};
    Doubles weight = numbers<double>(n, 3);
    for (double& w : weight) w += 1;
    const Doubles scale(static_cast<std::size_t>(m * d), 1.0);

    std::vector<Doubles> results;
    for (const int n_threads : {1, 2, 3}) {
        Doubles theta = numbers<double>(m * d, 4), first(theta.size()), second(theta.size());
        std::vector<index> rows(static_cast<std::size_t>(n));
        for (index i = 0; i < n; ++i) rows[static_cast<std::size_t>(i)] = i;
        Minibatches state{};
        state.scale = scale.data();
        state.unit = state.mean_weight = 1.0;
        state.batch_size = batch_size;
        state.seed = 11;
        state.rows = rows.data();
        state.n_rows = n;
        state.theta = theta.data();
        state.first_moment = first.data();
        state.second_moment = second.data();
        Doubles result;
        for (int epoch = 0; epoch < 12; ++epoch)
            result.push_back(functions<T>().minibatch_epoch(spec, samples, weight.data(), FieldSpec{}, 0.01, 0.005,
                                                            state, n_threads));
        CHECK(state.n_epochs == 12 && state.n_steps == 12 * 8);
        CHECK(result.back() < result.front());
        result.insert(result.end(), theta.begin(), theta.end());
        results.push_back(result);
    }
    CHECK(results[1] == results[0] && results[2] == results[0]);
}

void test_thread_trial() {
    // Threads that win stay; a slow step now and then is forgiven.
    ThreadTrial trial;
    for (int i = 0; i < 2; ++i) {
        CHECK(threads_to_try(trial, 4) == 1);
        note_time(trial, 1.0 + i);
    }
    for (int i = 0; i < 1000; ++i) {
        CHECK(threads_to_try(trial, 4) == 4);
        note_time(trial, i % 10 == 0 ? 3.0 : 0.5);
    }
    // One that takes a time slice is enough; the next trial comes after 64 steps, then after 128.
    for (const index wait : {64, 128}) {
        CHECK(threads_to_try(trial, 4) == 4);
        note_time(trial, 50.0);
        for (index i = 0; i < wait; ++i) {
            CHECK(threads_to_try(trial, 4) == 1);
            note_time(trial, 1.0);
        }
    }
    // A little slower is too slow in the end.
    int steps = 0;
    while (threads_to_try(trial, 4) == 4 && steps < 1000) note_time(trial, 1.2), ++steps;
    CHECK(steps > 10 && steps < 100);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (scorematch::this_level() == nullptr) return skipped;  // this processor lacks the level
    scorematch::test_gather<double>();
    scorematch::test_gather<float>();
    scorematch::test_step();
    scorematch::test_constraints();
    scorematch::test_same_bits<double>();
    scorematch::test_same_bits<float>();
    scorematch::test_thread_trial();
    return check_result();
}
