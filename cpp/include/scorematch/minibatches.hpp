// Stochastic descent: Adam (Kingma and Ba 2015) on minibatches, for any family and any field.
//
// An epoch visits every row once, in a new random order, batch after batch. The rows of a batch are gathered from where
// they lie, and from there on a batch is a small sample like any other: the engine's own objective and gradient, with
// sums that do not depend on the number of threads. The order is a function of the seed and the number of the epoch, so
// that the same seed gives the same θ to the last bit.
//
// What costs little on all rows and much on a few hundred is spared here: memory is kept from batch to batch, and
// batches are as equal as can be (Blocks), since a last one of three rows would move θ as far as the others do, by
// chance.
#pragma once

#include "scorematch/backend.hpp"
#include "scorematch/blocks.hpp"
#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/family.hpp"
#include "scorematch/level.hpp"
#include "scorematch/owner.hpp"
#include "scorematch/philox.hpp"
#include "scorematch/thread_trial.hpp"

SCOREMATCH_BEGIN_LEVEL

// Rows of a few hundred bytes in random order: the processor cannot guess the next ones, but we know them.
template <class T>
inline void prefetch_row(const Samples<T>& samples, index row) noexcept {
    const T* const sample = samples.data + row * samples.row_stride;
    const index cache_line = 64 / static_cast<index>(sizeof(T));
    for (index j = 0; j < samples.n_features; j += cache_line) __builtin_prefetch(sample + j);
}

// Writes the rows that are named, one behind the other.
template <class T>
inline void gather(const Samples<T>& samples, const index* rows, index n_rows, T* __restrict out) noexcept {
    const index d = samples.n_features, stride = samples.column_stride, ahead = 8;
    for (index i = 0; i < n_rows; ++i, out += d) {
        const T* const __restrict sample = samples.data + rows[i] * samples.row_stride;
        if (stride == 1) {
            if (i + ahead < n_rows) prefetch_row(samples, rows[i + ahead]);
            for (index j = 0; j < d; ++j) out[j] = sample[j];
        } else {
            for (index j = 0; j < d; ++j) out[j] = sample[j * stride];
        }
    }
}

// The field of a batch: where there is a table, what it holds of the batch's rows is gathered as they are.
template <class T>
class BatchField {
  public:
    BatchField(FieldSpec spec, index n_features, index largest)
        : whole_(spec.table), n_rows_(spec.kind == FieldKind::tabulated ? whole_.a_rows + n_features : 0),
          memory_(n_rows_ * largest),
          table_{memory_.data(), memory_.data() + whole_.a_rows * largest, whole_.a_rows, largest},
          field_(make_field<T>(with_table(spec, table_))) {}

    const Field<T>* of(const index* samples, index n_samples) noexcept {
        for (index row = 0; row < n_rows_; ++row) {
            const double* const from =
                row < whole_.a_rows ? whole_.a + row * whole_.stride : whole_.b + (row - whole_.a_rows) * whole_.stride;
            double* const to = memory_.data() + row * table_.stride;
            for (index i = 0; i < n_samples; ++i) to[i] = from[samples[i]];
        }
        return field_.get();
    }

  private:
    static FieldSpec with_table(FieldSpec spec, const FieldTable& table) noexcept {
        spec.table = table;
        return spec;
    }

    FieldTable whole_;
    index n_rows_;
    Buffer<double> memory_;
    FieldTable table_;
    Owner<Field<T>> field_;
};

// Adam's constants, as the paper recommends them, and its step (algorithm 1) in the variables φ = θ/scale. Rows of unit
// length see the slope along their sphere alone, and are brought back to it after the step; of what is positive, φ is
// the logarithm.
struct Adam {
    static constexpr double first_decay = 0.9, second_decay = 0.999, epsilon = 1e-8;

    // What the moments lack of their means at the beginning, when they still remember the zeros they began with.
    static double missing(double decay, index n_steps) noexcept { return 1 - __builtin_pow(decay, n_steps); }

    // `gradient` is that of J with respect to θ; what is left in it is the step.
    static void step(double* __restrict gradient, index n_params, double rate, Minibatches& state) noexcept {
        ++state.n_steps;
        const double* const __restrict scale = state.scale;
        double* const __restrict theta = state.theta;
        double* const __restrict first = state.first_moment;
        double* const __restrict second = state.second_moment;
        // Divisions take longer than all the rest: one each for what all entries share.
        const double slope_unit = 1 / state.unit, size = rate / missing(first_decay, state.n_steps);
        const double second_factor = 1 / missing(second_decay, state.n_steps);
        const index n_linear = n_params - state.n_positive;
        for (index i = 0; i < n_linear; ++i) gradient[i] *= slope_unit * scale[i];
        for (index i = n_linear; i < n_params; ++i) gradient[i] *= slope_unit * theta[i];
        const index length = state.unit_row_length, end_of_rows = state.n_unit_rows * length;
        for (index row = 0; row < end_of_rows; row += length) {
            double outward = 0;
            for (index i = row; i < row + length; ++i) outward += gradient[i] * (theta[i] / scale[i]);
            for (index i = row; i < row + length; ++i) gradient[i] -= outward * (theta[i] / scale[i]);
        }
        for (index i = 0; i < n_params; ++i) {
            const double mean = first_decay * first[i] + (1 - first_decay) * gradient[i];
            const double square = second_decay * second[i] + (1 - second_decay) * gradient[i] * gradient[i];
            first[i] = mean;
            second[i] = square;
            gradient[i] = size * mean / (__builtin_sqrt(second_factor * square) + epsilon);
        }
        for (index i = 0; i < n_linear; ++i) theta[i] -= scale[i] * gradient[i];
        for (index i = n_linear; i < n_params; ++i) theta[i] *= __builtin_exp(-gradient[i]);
        for (index row = 0; row < end_of_rows; row += length) {
            double square = 0;
            for (index i = row; i < row + length; ++i) square += (theta[i] / scale[i]) * (theta[i] / scale[i]);
            const double shrink = 1 / __builtin_sqrt(square);
            for (index i = row; i < row + length; ++i) theta[i] *= shrink;
        }
    }
};

// A batch's objective is Σ wρ over what is expected of Σ w, so that its mean over all batches is J, and its gradient
// without bias.
template <class T>
double minibatch_epoch(const Family<T>& family, const Samples<T>& samples, const double* sample_weight,
                       const FieldSpec& field_spec, double first_rate, double last_rate, Minibatches& state,
                       int n_threads) {
    const Blocks batches(state.n_rows, state.batch_size);
    const index d = samples.n_features, largest = batches.size(0), n_params = family.n_params();
    Buffer<T> gathered(largest * d);
    BatchField<T> field(field_spec, d, largest);
    Buffer<double> weights(sample_weight == nullptr ? 0 : largest), gradient(n_params);
    Scratch<T> scratch;

    RandomStream random(state.seed, RandomUse::order_of_rows, static_cast<std::uint32_t>(state.n_epochs));
    shuffle(state.rows, state.n_rows, random);
    double total = 0;
    for (index b = 0; b < batches.count(); ++b) {
        const index* const rows = state.rows + batches.begin(b);
        const index size = batches.size(b);
        gather(samples, rows, size, gathered.data());
        for (index i = 0; sample_weight != nullptr && i < size; ++i) weights[i] = sample_weight[rows[i]];
        const Samples<T> batch{gathered.data(), size, d, d, 1, samples.origin};
        const double expected_weight = state.mean_weight * static_cast<double>(size);

        const double begin = wall_seconds();
        const Owner<Density<T>> density(family.at(state.theta));
        ObjectiveSpec objective = field_spec.objective;
        objective.rows = rows;
        const double loss =
            loss_and_gradient(*density, field.of(rows, size), objective, batch, weights.data(), expected_weight,
                              gradient.data(), threads_to_try(state.threads, n_threads), scratch);
        note_time(state.threads, wall_seconds() - begin);
        if (!(loss - loss == 0)) return loss;  // not finite
        total += static_cast<double>(size) * loss;

        const double progress = (static_cast<double>(b) + 0.5) / static_cast<double>(batches.count());
        Adam::step(gradient.data(), n_params, first_rate + progress * (last_rate - first_rate), state);
    }
    ++state.n_epochs;
    return total / static_cast<double>(state.n_rows);
}

SCOREMATCH_END_LEVEL
