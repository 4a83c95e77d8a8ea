// Coordinate descent on those unknowns that may be other than zero, with the gradient of the form kept up to date.
//
// Which these are is guessed by the sequential strong rule of Tibshirani et al. (2012), from the gradient at the
// minimum for the penalty before; afterwards the conditions of a minimum are checked for all, with a gradient made
// anew, and those that break them are let in. So a wrong guess costs time and nothing else, and rounding errors do not
// add up.
//
// Column j needs only the entries of A_j in rows and columns that it works on. Where these are few they are copied
// together, so that a sweep runs over little memory without a gap.
//
// Sweeps find the signs soon; to find the values they take as many as the condition of the form is high. So when no
// unknown becomes zero or ceases to be, conjugate gradients go to the minimum for these signs, and no further than
// signs allow; where they take long, the blocks are factorised to speed them up. Where they meet a direction along
// which the form is linear, and the penalty does not hold it, there is no minimum.
#include "scorematch/interaction.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "scorematch/parallel.hpp"

namespace scorematch {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();
// Columns that work on a larger share of their entries are left where they are.
constexpr double most_packed = 0.5;
// Packed columns are padded with zeros to a multiple of this, the longest pack.
constexpr index padding = 8;
// Sweeps before conjugate gradients may begin, each time.
constexpr int fewest_sweeps = 2;
// A direction v with vᵀΓv below this part of Σ v_k²Γ_kk is one in which the form is linear: the entries of Γ are sums,
// and their errors some units in the last place.
constexpr double flat = 1e-12;
// Rounds of sweeps and checks that bring next to nothing: what is left is rounding.
constexpr int most_vain_rounds = 3;
constexpr int most_vain_sweeps = 10;
// Products with the form in one run of conjugate gradients.
constexpr int most_products = 500;
// After so many the blocks are factorised.
constexpr int patience = 40;
constexpr double least_pivot = 1e-8;
// Unknowns that become zero, one after the other, between sweeps.
constexpr int most_crossings = 50;
// With fewer multiplications a second thread does not pay: on a busy machine it may take milliseconds to come.
constexpr index fewest_operations = 10'000'000;

std::size_t size(index i) { return static_cast<std::size_t>(i); }
double sign(double x) { return x < 0 ? -1.0 : 1.0; }

enum class Penalised { no, interaction, linear };

struct Slot {
    index column = -1, row = -1;
};

}  // namespace

// Columns that hang together: all, or one.
class InteractionSolver::Part {
  public:
    Part(const InteractionForm& form, const InteractionKernels& kernels, index first_column, index n_columns)
        : form_(form), kernels_(kernels), first_column_(first_column), n_columns_(n_columns), m_(form.size),
          gradient_(size(n_columns * m_ + 1)) {
        for (index j = first_column; j < first_column + n_columns; ++j)
            for (index i = 0; i < m_; ++i) {
                if (i == j) {
                    if (!form.fixed_diagonal) add({j, i}, {}, Penalised::no);
                } else if (i == form.n_columns) add({j, i}, {}, Penalised::linear);
                else if (!form.symmetric) add({j, i}, {}, Penalised::interaction);
                else if (i < j) add({j, i}, {i, j}, Penalised::interaction);
            }
        if (form.coupling != nullptr) {
            transposed_.resize(size(last_column() * m_ * m_));
            for (index j = 0; j < last_column(); ++j)
                for (index i = 0; i < m_; ++i)
                    for (index k = 0; k < m_; ++k) transposed_[size((j * m_ + k) * m_ + i)] = coupling(j)[i * m_ + k];
        }
        values_.assign(slots_.size(), 0.0);
        previous_.assign(slots_.size(), -1.0);
        allowed_.assign(slots_.size(), 1);
        for (index k = 0; k < n_columns * m_; ++k)
            largest_linear_ = std::max(largest_linear_, std::fabs(form.linear[first_column * m_ + k]));
        renew(1);
    }

    void start(const double* columns) {
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            const double* const first = columns + slots_[k].column * m_ + slots_[k].row;
            values_[k] = curvature_[k] > 0 ? *first : 0.0;
        }
        std::fill(previous_.begin(), previous_.end(), -1.0);
        renew(1);
    }

    void restrict_to(const unsigned char* allowed) {
        for (std::size_t k = 0; k < slots_.size(); ++k)
            allowed_[k] = allowed == nullptr || allowed[slots_[k].column * m_ + slots_[k].row] != 0;
    }

    InteractionMinimum minimise(double alpha, double alpha_linear, double tol, double largest_linear, index max_iter,
                                int n_threads) {
        const double target = tol * std::min(1.0, largest_linear), enough = tol * std::max(1.0, largest_linear);
        choose(alpha, alpha_linear);
        n_iter_ = 0;
        Objective before{infinity, 0};
        for (int n_vain = 0;;) {
            for (std::size_t k = 0; k < slots_.size(); ++k)
                if (curvature_[k] == 0 && std::fabs(pull(k)) > penalty_[k]) return unbounded(slots_[k].column);
            lay_out();
            if (!descend(target, max_iter)) return unbounded(steepest_column_);
            for (std::size_t k = 0; k < active_.size(); ++k) values_[active_[k]] = active_values_[k];
            renew(n_threads);
            const std::size_t n_before = active_.size();
            const double violation = check();
            if (violation <= target) return {InteractionOutcome::converged, n_iter_, violation, -1};
            const Objective now = objective();
            const bool falls = before.value - now.value > 4 * eps * now.magnitude;
            n_vain = falls || active_.size() != n_before ? 0 : n_vain + 1;
            before = now;
            if (n_vain < most_vain_rounds && n_iter_ < max_iter) continue;
            const bool converged = n_vain >= most_vain_rounds && violation <= enough;
            return {converged ? InteractionOutcome::converged : InteractionOutcome::stopped, n_iter_, violation, -1};
        }
    }

    void columns(double* out) const {
        std::fill(out, out + n_columns_ * m_, 0.0);
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            out[place(slots_[k])] = values_[k];
            if (partners_[k].column >= 0) out[place(partners_[k])] = values_[k];
        }
    }
    const double* gradient() const { return gradient_.data(); }
    index first_column() const { return first_column_; }
    index n_columns() const { return n_columns_; }
    double largest_linear() const { return largest_linear_; }

  private:
    // -- the unknowns ------------------------------------------------------------------------------------------------

    const double* row(Slot s) const { return form_.blocks + (s.column * m_ + s.row) * m_; }
    const double* coupling(index column) const { return form_.coupling + column * m_ * m_; }
    // Where an entry of a column is in the gradient of this part.
    index place(Slot s) const { return (s.column - first_column_) * m_ + s.row; }
    index last_column() const { return form_.n_columns - 1; }

    void add(Slot slot, Slot partner, Penalised penalised) {
        slots_.push_back(slot);
        partners_.push_back(partner);
        first_.push_back(size(place(slot)));
        // Those with one entry have a 0 for the other, behind the gradient.
        second_.push_back(partner.column >= 0 ? size(place(partner)) : gradient_.size() - 1);
        penalised_.push_back(penalised);
        double curvature = row(slot)[slot.row];
        if (partner.column >= 0) {
            curvature += row(partner)[partner.row];
            // x in column i and x in the last column: the coupling adds x² C_i.
            if (form_.coupling != nullptr && slot.column == last_column())
                curvature += 2 * coupling(partner.column)[partner.row * m_ + slot.row];
        }
        curvature_.push_back(curvature > 0 ? curvature : 0.0);
        double linear = form_.linear[slot.column * m_ + slot.row];
        if (partner.column >= 0) linear += form_.linear[partner.column * m_ + partner.row];
        linear_.push_back(linear);
    }

    // Minus the derivative of the form.
    double pull(std::size_t k) const { return -(gradient_[first_[k]] + gradient_[second_[k]]); }

    // Sets the penalties, and the unknowns to begin with.
    void choose(double alpha, double alpha_linear) {
        penalty_.resize(slots_.size());
        active_.clear();
        bool reset = false;
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            const double weight = partners_[k].column >= 0 ? 2.0 : 1.0;
            double penalty = 0;
            if (penalised_[k] == Penalised::interaction) penalty = weight * alpha;
            if (penalised_[k] == Penalised::linear) penalty = alpha_linear;
            if (!allowed_[k]) penalty = infinity;
            if (penalty == infinity && values_[k] != 0) {
                values_[k] = 0;
                reset = true;
            }
            const double before = previous_[k] >= penalty && previous_[k] < infinity ? previous_[k] : penalty;
            penalty_[k] = previous_[k] = penalty;
            const bool likely = penalty == 0 || std::fabs(pull(k)) >= 2 * penalty - before;
            if (curvature_[k] > 0 && penalty < infinity && (values_[k] != 0 || likely)) active_.push_back(k);
        }
        if (reset) renew(1);
    }

    // What is minimised, and the size of what it is the sum of.
    struct Objective {
        double value, magnitude;
    };
    Objective objective() const {
        Objective sum{0, 0};
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            if (values_[k] == 0) continue;
            const double form = -0.5 * (pull(k) + linear_[k]) * values_[k],
                         penalty = penalty_[k] * std::fabs(values_[k]);
            sum.value += form + penalty;
            sum.magnitude += std::fabs(form) + penalty;
        }
        return sum;
    }

    // The largest breach of the conditions of a minimum; the unknowns that are zero and should not be become active.
    double check() {
        is_active_.assign(slots_.size(), 0);
        for (const std::size_t k : active_) is_active_[k] = 1;
        const std::size_t n_before = active_.size();
        double worst = 0;
        for (const std::size_t k : active_) {
            const double force = pull(k);
            const double breach = values_[k] != 0 ? std::fabs(force - penalty_[k] * sign(values_[k]))
                                                  : std::max(std::fabs(force) - penalty_[k], 0.0);
            worst = std::max(worst, breach);
        }
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            const double breach = std::fabs(pull(k)) - penalty_[k];
            if (breach <= 0 || is_active_[k]) continue;
            worst = std::max(worst, breach);
            if (curvature_[k] > 0) active_.push_back(k);
        }
        if (active_.size() == n_before) return worst;
        std::sort(active_.begin(), active_.end());
        return worst;
    }

    static InteractionMinimum unbounded_at(index n_iter, index column) {
        return {InteractionOutcome::unbounded, n_iter, infinity, column};
    }
    InteractionMinimum unbounded(index column) {
        std::fill(values_.begin(), values_.end(), 0.0);
        std::fill(previous_.begin(), previous_.end(), -1.0);
        renew(1);
        return unbounded_at(n_iter_, column);
    }

    // -- the gradient of all -----------------------------------------------------------------------------------------

    // From the values, for each column by itself.
    void renew(int n_threads) {
        all_.assign(size(n_columns_ * m_), 0.0);
        columns(all_.data());
        const index n_zeros = std::count(values_.begin(), values_.end(), 0.0);
        const index n_operations = 2 * m_ * (static_cast<index>(values_.size()) - n_zeros);
        parallel_for(n_columns_, n_operations < fewest_operations ? 1 : n_threads, renew_one, this);
    }
    static void renew_one(void* self, index task, int /*worker*/) { static_cast<Part*>(self)->renew_column(task); }

    void renew_column(index j) {
        const index column = first_column_ + j;
        double* const out = gradient_.data() + j * m_;
        for (index i = 0; i < m_; ++i) out[i] = -form_.linear[column * m_ + i];
        combine(form_.blocks + column * m_ * m_, m_, all_.data() + j * m_, m_, out);
        if (form_.coupling == nullptr) return;
        if (column == last_column())
            for (index i = 0; i < last_column(); ++i) combine(coupling(i), m_, all_.data() + i * m_, m_, out);
        else combine(transposed_.data() + column * m_ * m_, m_, all_.data() + last_column() * m_, m_, out);
    }

    // out += matrixᵀ c, for a matrix of so many rows
    void combine(const double* matrix, index length, const double* c, index n_rows, double* out) const {
        constexpr index most = 64;
        index rows[most], n = 0;
        double coefficients[most];
        for (index i = 0; i < n_rows; ++i) {
            if (c[i] != 0) {
                rows[n] = i;
                coefficients[n++] = c[i];
            }
            if (n == most || (i == n_rows - 1 && n > 0)) {
                kernels_.combine(matrix, length, rows, coefficients, n, out);
                n = 0;
            }
        }
    }

    // -- the active unknowns -----------------------------------------------------------------------------------------

    // What a sweep works on of a column: the entries, and where their part of A_j is.
    struct Column {
        index first_entry, n_entries;  // in entries_
        index start;                   // in active_gradient_
        index length;
        index packed;  // in packed_; −1 where it is the form's own matrix
    };

    void lay_out() {
        where_.assign(size(n_columns_ * m_), -1);
        for (const std::size_t k : active_) {
            where_[size(place(slots_[k]))] = 0;
            if (partners_[k].column >= 0) where_[size(place(partners_[k]))] = 0;
        }
        entries_.clear();
        layout_.clear();
        index n_gradient = 0, n_packed = 0;
        for (index j = 0; j < n_columns_; ++j) {
            Column column{static_cast<index>(entries_.size()), 0, n_gradient, m_, -1};
            for (index i = 0; i < m_; ++i)
                if (where_[size(j * m_ + i)] == 0) entries_.push_back(i);
            column.n_entries = static_cast<index>(entries_.size()) - column.first_entry;
            const bool pays = static_cast<double>(column.n_entries) < most_packed * static_cast<double>(m_);
            if (form_.coupling == nullptr && pays) {
                column.length = rounded(column.n_entries);
                column.packed = n_packed;
                n_packed += column.n_entries * column.length;
                for (index p = 0; p < column.n_entries; ++p)
                    where_[size(j * m_ + entries_[size(column.first_entry + p)])] = p;
            } else {
                for (index i = 0; i < m_; ++i) where_[size(j * m_ + i)] = i;
            }
            n_gradient += rounded(column.length);
            layout_.push_back(column);
        }
        packed_.resize(size(n_packed));
        // One more, which is always 0, for unknowns with one entry.
        active_gradient_.assign(size(n_gradient + 1), 0.0);
        for (index j = 0; j < n_columns_; ++j) fill_column(j);

        unknowns_.clear();
        updates_.clear();
        active_values_.clear();
        for (const std::size_t k : active_) {
            Unknown u{active_place(slots_[k]), n_gradient, static_cast<index>(updates_.size()), 0, curvature_[k],
                      1 / curvature_[k],       penalty_[k]};
            add_updates(slots_[k]);
            if (partners_[k].column >= 0) {
                u.second = active_place(partners_[k]);
                add_updates(partners_[k]);
            }
            u.n_updates = static_cast<index>(updates_.size()) - u.first_update;
            unknowns_.push_back(u);
            active_values_.push_back(values_[k]);
        }
    }
    static index rounded(index n) { return (n + padding - 1) / padding * padding; }

    void fill_column(index j) {
        const Column& column = layout_[size(j)];
        const double* const gradient = gradient_.data() + j * m_;
        double* const active_gradient = active_gradient_.data() + column.start;
        if (column.packed < 0) {
            std::copy_n(gradient, m_, active_gradient);
            return;
        }
        const index* const entries = entries_.data() + column.first_entry;
        for (index p = 0; p < column.n_entries; ++p) {
            const double* const from = row({first_column_ + j, entries[p]});
            double* const to = packed_.data() + column.packed + p * column.length;
            for (index q = 0; q < column.n_entries; ++q) to[q] = from[entries[q]];
            for (index q = column.n_entries; q < column.length; ++q) to[q] = 0;
            active_gradient[p] = gradient[entries[p]];
        }
    }

    index active_place(Slot s) const { return layout_[size(s.column - first_column_)].start + where_[size(place(s))]; }

    void add_updates(Slot s) {
        const Column& column = layout_[size(s.column - first_column_)];
        const double* const own =
            column.packed < 0 ? row(s) : packed_.data() + column.packed + where_[size(place(s))] * column.length;
        updates_.push_back({own, column.start, column.length});
        if (form_.coupling == nullptr) return;
        const index last = last_column();
        if (s.column < last) {
            updates_.push_back({coupling(s.column) + s.row * m_, layout_[size(last)].start, m_});
        } else {
            for (index j = 0; j < last; ++j)
                updates_.push_back({transposed_.data() + (j * m_ + s.row) * m_, layout_[size(j)].start, m_});
        }
    }

    // -- descent -----------------------------------------------------------------------------------------------------

    // Until the active unknowns meet the conditions of a minimum, or nothing moves. False if there is no minimum.
    bool descend(double target, index max_iter) {
        const index n = static_cast<index>(unknowns_.size());
        double best = infinity;
        int n_vain = 0;
        for (int n_sweeps = 1; n_iter_ < max_iter; ++n_sweeps) {
            const SweepResult result =
                kernels_.sweep(unknowns_.data(), updates_.data(), n, active_values_.data(), active_gradient_.data());
            ++n_iter_;
            if (result.largest_change <= 0.5 * target) return true;
            n_vain = result.largest_change < 0.9 * best ? 0 : n_vain + 1;
            best = std::min(best, result.largest_change);
            if (n_vain > most_vain_sweeps) return true;
            if (n_sweeps < fewest_sweeps || result.n_switched > 0) continue;
            const Newton newton = step(target, max_iter);
            if (newton == Newton::unbounded) return false;
            if (newton == Newton::arrived) return true;
            n_sweeps = 0;
        }
        return true;
    }

    enum class Newton { arrived, moved, unbounded };

    double active_pull(std::size_t k) const {
        const Unknown& u = unknowns_[k];
        return -(active_gradient_[size(u.first)] + active_gradient_[size(u.second)]);
    }
    // What falls along +e_k: the slope of the penalised objective, its sign turned.
    double active_force(std::size_t k) const {
        return active_pull(k) - (active_values_[k] != 0 ? unknowns_[k].penalty * sign(active_values_[k]) : 0.0);
    }

    // What changes of the unknowns do to the gradient.
    void apply(const std::vector<double>& changes, std::vector<double>& out) {
        std::fill(out.begin(), out.end(), 0.0);
        if (form_.coupling != nullptr) {
            kernels_.apply(unknowns_.data(), updates_.data(), static_cast<index>(unknowns_.size()), changes.data(),
                           out.data());
            return;
        }
        // An entry of a column is in the gradient where the column's own entries are.
        spread_.assign(out.size(), 0.0);
        for (std::size_t k = 0; k < unknowns_.size(); ++k)
            spread_[size(unknowns_[k].first)] = spread_[size(unknowns_[k].second)] = changes[k];
        for (index j = 0; j < n_columns_; ++j) {
            const Column& column = layout_[size(j)];
            const double* const matrix =
                column.packed < 0 ? row({first_column_ + j, 0}) : packed_.data() + column.packed;
            combine(matrix, column.length, spread_.data() + column.start, column.packed < 0 ? m_ : column.n_entries,
                    out.data() + column.start);
        }
    }

    // To the minimum for the signs as they are, or to where the first of them changes; again until none does.
    Newton step(double target, index max_iter) {
        factors_.clear();
        for (int i = 0; i < most_crossings; ++i) {
            bool arrived = false;
            const Newton newton = solve_support(target, max_iter, arrived);
            if (newton == Newton::unbounded) return newton;
            if (newton == Newton::arrived) return arrived ? newton : Newton::moved;
            if (n_iter_ >= max_iter) break;
        }
        return Newton::moved;
    }

    // By conjugate gradients, scaled by the curvatures; where these take long, by the inverses of the blocks. `arrived`
    // says whether they came to an end.
    Newton solve_support(double target, index max_iter, bool& arrived) {
        const std::size_t n = unknowns_.size();
        support_.clear();
        for (std::size_t k = 0; k < n; ++k)
            if (active_values_[k] != 0 || unknowns_[k].penalty == 0) support_.push_back(k);
        for (std::vector<double>* const v : {&residual_, &scaled_, &direction_, &step_}) v->assign(n, 0.0);
        for (std::vector<double>* const v : {&product_, &step_product_}) v->assign(active_gradient_.size(), 0.0);
        double largest_force = 0;
        for (const std::size_t k : support_) {
            residual_[k] = active_force(k);
            largest_force = std::max(largest_force, std::fabs(residual_[k]));
        }
        const double goal = std::max(0.5 * target, eps * largest_force);
        double descent = precondition();
        direction_ = scaled_;
        for (int i = 0; i < most_products && n_iter_ < max_iter && descent > 0; ++i) {
            if (i == patience && factors_.empty()) {
                factorise();
                descent = precondition();
                direction_ = scaled_;
            }
            apply(direction_, product_);
            ++n_iter_;
            double curvature = 0, scale = 0;
            for (const std::size_t k : support_) {
                curvature += direction_[k] * product(k);
                scale += direction_[k] * direction_[k] * unknowns_[k].curvature;
            }
            if (curvature <= flat * scale) {
                if (!falls_along_direction()) break;
                return follow_direction();
            }
            const double length = descent / curvature;
            double largest = 0;
            for (const std::size_t k : support_) {
                step_[k] += length * direction_[k];
                residual_[k] -= length * product(k);
                largest = std::max(largest, std::fabs(residual_[k]));
            }
            for (std::size_t l = 0; l < product_.size(); ++l) step_product_[l] += length * product_[l];
            arrived = largest <= goal;
            if (arrived) break;
            const double next = precondition();
            for (const std::size_t k : support_) direction_[k] = scaled_[k] + next / descent * direction_[k];
            descent = next;
        }
        return take_step() ? Newton::arrived : Newton::moved;
    }

    // Sets scaled_ to about the inverse of the form times the residual; returns their product. With factors: each
    // column solves its own block, and of an unknown in two columns each has its share, by the curvatures (a
    // Neumann-Neumann method). For columns by themselves it is the inverse.
    double precondition() {
        double product = 0;
        if (factors_.empty()) {
            for (const std::size_t k : support_) scaled_[k] = residual_[k] * unknowns_[k].inverse_curvature;
        } else {
            spread_.assign(active_gradient_.size(), 0.0);
            for (const std::size_t k : support_) {
                const Unknown& u = unknowns_[k];
                spread_[size(u.first)] = share_[k] * residual_[k];
                spread_[size(u.second)] = (1 - share_[k]) * residual_[k];
            }
            for (const Factor& factor : factors_) solve_block(factor);
            for (const std::size_t k : support_) {
                const Unknown& u = unknowns_[k];
                scaled_[k] = share_[k] * spread_[size(u.first)];
                if (share_[k] != 1) scaled_[k] += (1 - share_[k]) * spread_[size(u.second)];
            }
        }
        for (const std::size_t k : support_) product += residual_[k] * scaled_[k];
        return product;
    }

    // The block of a column, in the rows and columns of the support, scaled to a unit diagonal, as LLᵀ.
    struct Factor {
        std::vector<std::size_t> places;  // in active_gradient_
        std::vector<double> scale, rows;
    };

    void factorise() {
        share_.assign(unknowns_.size(), 1.0);
        std::vector<char> used(active_gradient_.size(), 0);
        for (const std::size_t k : support_) {
            const Unknown& u = unknowns_[k];
            used[size(u.first)] = 1;
            if (partners_[active_[k]].column < 0) continue;
            used[size(u.second)] = 1;
            share_[k] = row(slots_[active_[k]])[slots_[active_[k]].row] * u.inverse_curvature;
        }
        for (index j = 0; j < n_columns_; ++j) {
            const Column& column = layout_[size(j)];
            const double* const matrix =
                column.packed < 0 ? row({first_column_ + j, 0}) : packed_.data() + column.packed;
            Factor factor;
            std::vector<index> entries;
            for (index p = 0; p < (column.packed < 0 ? m_ : column.n_entries); ++p)
                if (used[size(column.start + p)] && matrix[p * column.length + p] > 0) {
                    entries.push_back(p);
                    factor.places.push_back(size(column.start + p));
                    factor.scale.push_back(1 / std::sqrt(matrix[p * column.length + p]));
                }
            const std::size_t n = entries.size();
            factor.rows.assign(n * n, 0.0);
            for (std::size_t i = 0; i < n; ++i) {
                double* const own = factor.rows.data() + i * n;
                double rest = 1;
                for (std::size_t k = 0; k < i; ++k) {
                    const double* const other = factor.rows.data() + k * n;
                    double sum = matrix[entries[i] * column.length + entries[k]] * factor.scale[i] * factor.scale[k];
                    for (std::size_t l = 0; l < k; ++l) sum -= own[l] * other[l];
                    own[k] = sum / other[k];
                    rest -= own[k] * own[k];
                }
                // A row that depends on those before: near the inverse is near enough.
                own[i] = std::sqrt(std::max(rest, least_pivot));
            }
            factors_.push_back(std::move(factor));
        }
    }

    void solve_block(const Factor& factor) {
        const std::size_t n = factor.places.size();
        block_.resize(n);
        for (std::size_t i = 0; i < n; ++i) {
            const double* const own = factor.rows.data() + i * n;
            double sum = spread_[factor.places[i]] * factor.scale[i];
            for (std::size_t k = 0; k < i; ++k) sum -= own[k] * block_[k];
            block_[i] = sum / own[i];
        }
        for (std::size_t i = n; i-- > 0;) {
            const double* const own = factor.rows.data() + i * n;
            block_[i] /= own[i];
            for (std::size_t k = 0; k < i; ++k) block_[k] -= own[k] * block_[i];
        }
        for (std::size_t i = 0; i < n; ++i) spread_[factor.places[i]] = block_[i] * factor.scale[i];
    }

    double product(std::size_t k) const {
        return product_[size(unknowns_[k].first)] + product_[size(unknowns_[k].second)];
    }

    // The direction is one in which the form is linear; whether it falls by more than rounding errors make of it.
    bool falls_along_direction() const {
        double gain = 0, magnitude = 0;
        for (const std::size_t k : support_) {
            gain += active_force(k) * direction_[k];
            magnitude += (largest_linear_ + unknowns_[k].penalty) * std::fabs(direction_[k]);
        }
        return gain > 1e-9 * magnitude;
    }

    // To where the first unknown is zero. If none ever is, there is no minimum; nor if it still falls when all have the
    // signs that they end with.
    Newton follow_direction() {
        double length = infinity, steepest = 0, final_fall = 0, magnitude = 0;
        std::size_t first = 0;
        for (const std::size_t k : support_) {
            const double reach = std::fabs(direction_[k]) * std::sqrt(unknowns_[k].curvature);
            if (reach > steepest) {
                steepest = reach;
                steepest_column_ = slots_[active_[k]].column;
            }
            crossing(k, direction_[k], length, first);
            final_fall += active_pull(k) * direction_[k] - unknowns_[k].penalty * std::fabs(direction_[k]);
            magnitude += (largest_linear_ + unknowns_[k].penalty) * std::fabs(direction_[k]);
        }
        if (length == infinity || final_fall > 1e-9 * magnitude) return Newton::unbounded;
        for (const std::size_t k : support_) active_values_[k] += length * direction_[k];
        for (std::size_t l = 0; l < product_.size(); ++l) active_gradient_[l] += length * product_[l];
        set(first, 0);
        return Newton::moved;
    }

    // Where unknown k, which moves so fast, is zero, if that is before `length`.
    void crossing(std::size_t k, double speed, double& length, std::size_t& first) const {
        const double value = active_values_[k];
        if (unknowns_[k].penalty > 0 && value * speed < 0 && -value / speed < length) {
            length = -value / speed;
            first = k;
        }
    }

    void set(std::size_t k, double value) {
        const double change = value - active_values_[k];
        active_values_[k] = value;
        kernels_.apply(unknowns_.data() + k, updates_.data(), 1, &change, active_gradient_.data());
    }

    // All of the step if no sign changes (then true). Else what is lower: to where the first does, or all of it with
    // those that would change theirs left at zero.
    bool take_step() {
        double length = 1, gain = 0;
        std::size_t first = 0;
        for (const std::size_t k : support_) {
            crossing(k, step_[k], length, first);
            gain += active_force(k) * step_[k];
        }
        if (length >= 1) {
            for (const std::size_t k : support_) active_values_[k] += step_[k];
            for (std::size_t l = 0; l < step_product_.size(); ++l) active_gradient_[l] += step_product_[l];
            return true;
        }
        std::fill(direction_.begin(), direction_.end(), 0.0);
        for (const std::size_t k : support_) {
            const double value = active_values_[k];
            const bool crosses = unknowns_[k].penalty > 0 && value * (value + step_[k]) < 0;
            direction_[k] = crosses ? -value : step_[k];
        }
        apply(direction_, product_);
        double fall = 0;
        for (const std::size_t k : support_) fall += direction_[k] * (active_force(k) - 0.5 * product(k));
        if (fall >= (length - 0.5 * length * length) * gain) {
            for (const std::size_t k : support_) {
                const bool ends = direction_[k] == -active_values_[k];
                active_values_[k] = ends ? 0.0 : active_values_[k] + direction_[k];
            }
            for (std::size_t l = 0; l < product_.size(); ++l) active_gradient_[l] += product_[l];
            return false;
        }
        for (const std::size_t k : support_) active_values_[k] += length * step_[k];
        for (std::size_t l = 0; l < step_product_.size(); ++l) active_gradient_[l] += length * step_product_[l];
        set(first, 0);
        return false;
    }

    const InteractionForm& form_;
    const InteractionKernels& kernels_;
    const index first_column_, n_columns_, m_;
    double largest_linear_ = 0;

    // All unknowns: where they are, and what they are.
    std::vector<Slot> slots_, partners_;
    std::vector<std::size_t> first_, second_;  // where they are in gradient_
    std::vector<Penalised> penalised_;
    std::vector<double> curvature_, linear_, values_, penalty_, previous_;
    std::vector<char> is_active_, allowed_;
    std::vector<double> gradient_, all_, transposed_;

    // The active ones.
    std::vector<std::size_t> active_, support_;
    std::vector<index> where_, entries_;
    std::vector<Column> layout_;
    std::vector<Unknown> unknowns_;
    std::vector<GradientUpdate> updates_;
    std::vector<double> packed_, active_values_, active_gradient_;
    std::vector<double> residual_, scaled_, direction_, step_, product_, step_product_, spread_, share_, block_;
    std::vector<Factor> factors_;
    index n_iter_ = 0, steepest_column_ = 0;
};

struct InteractionSolver::Parts {
    InteractionForm form;
    InteractionKernels kernels;
    std::vector<Part> list;
};

InteractionSolver::InteractionSolver(const InteractionForm& form, const InteractionKernels& kernels)
    : parts_(new Parts{form, kernels, {}}) {
    const index n = form.symmetric ? 1 : form.n_columns, width = form.symmetric ? form.n_columns : 1;
    parts_->list.reserve(size(n));
    for (index part = 0; part < n; ++part) parts_->list.emplace_back(parts_->form, parts_->kernels, part, width);
}

InteractionSolver::~InteractionSolver() = default;

void InteractionSolver::start(const double* columns) {
    for (Part& part : parts_->list) part.start(columns);
}

void InteractionSolver::restrict_to(const unsigned char* allowed) {
    for (Part& part : parts_->list) part.restrict_to(allowed);
}

void InteractionSolver::minimise(const double* alphas, const double* alpha_linears, index count, double tol,
                                 index max_iter, int n_threads, InteractionMinimum* minima, double* columns,
                                 double* gradients) {
    struct Task {
        std::vector<Part>& parts;
        std::vector<InteractionMinimum> minima;  // of a part, one for each penalty, behind those of the part before
        const double *alphas, *alpha_linears;
        index count, max_iter, n_entries, width;
        double tol, largest;
        int n_threads;
        double *columns, *gradients;
        std::atomic<bool> failed;
    };
    std::vector<Part>& parts = parts_->list;
    const index n_parts = static_cast<index>(parts.size()), width = parts_->form.size;
    double largest = 0;
    for (const Part& part : parts) largest = std::max(largest, part.largest_linear());
    const InteractionMinimum nothing{InteractionOutcome::stopped, 0, infinity, -1};
    Task task{parts,
              std::vector<InteractionMinimum>(size(n_parts * count), nothing),
              alphas,
              alpha_linears,
              count,
              max_iter,
              width * parts_->form.n_columns,
              width,
              tol,
              largest,
              n_parts > 1 ? 1 : n_threads,
              columns,
              gradients,
              false};
    const auto body = [](void* context, index i, int /*worker*/) {
        Task& t = *static_cast<Task*>(context);
        Part& part = t.parts[size(i)];
        try {
            for (index k = 0; k < t.count; ++k) {
                InteractionMinimum& minimum = t.minima[size(i * t.count + k)];
                minimum = part.minimise(t.alphas[k], t.alpha_linears[k], t.tol, t.largest, t.max_iter, t.n_threads);
                if (minimum.outcome == InteractionOutcome::unbounded) return;
                const index place = k * t.n_entries + part.first_column() * t.width;
                part.columns(t.columns + place);
                std::copy_n(part.gradient(), part.n_columns() * t.width, t.gradients + place);
            }
        } catch (const std::bad_alloc&) {  // not through OpenMP
            t.failed = true;
        }
    };
    parallel_for(n_parts, n_threads, body, &task);
    if (task.failed) throw std::bad_alloc();
    for (index k = 0; k < count; ++k) {
        InteractionMinimum all{InteractionOutcome::converged, 0, 0, -1};
        for (index i = 0; i < n_parts; ++i) {
            const InteractionMinimum& minimum = task.minima[size(i * count + k)];
            if (minimum.outcome == InteractionOutcome::unbounded) {
                all = minimum;
                break;
            }
            if (minimum.outcome == InteractionOutcome::stopped) all.outcome = minimum.outcome;
            all.n_iter = std::max(all.n_iter, minimum.n_iter);
            all.violation = std::max(all.violation, minimum.violation);
        }
        minima[k] = all;
    }
}

void InteractionSolver::gradient(double* out) const {
    for (const Part& part : parts_->list)
        std::copy_n(part.gradient(), part.n_columns() * parts_->form.size,
                    out + part.first_column() * parts_->form.size);
}

}  // namespace scorematch
