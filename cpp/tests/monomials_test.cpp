// Monomials in graded order, and their sums over samples.
#include "scorematch/monomials.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

#include "check.hpp"
#include "scorematch/polynomial_moments.hpp"

using namespace scorematch;

namespace {

using Size = scorematch::index;
using Exponents = std::vector<int>;

// All exponents of at most this degree, by counting up, in the order that monomials.hpp promises.
void extend(std::vector<Exponents>& out, Exponents& power, std::size_t variable, int left) {
    if (variable + 1 == power.size()) {
        power[variable] = left;
        out.push_back(power);
        return;
    }
    for (int own = left; own >= 0; --own) {
        power[variable] = own;
        extend(out, power, variable + 1, left - own);
    }
}

std::vector<Exponents> graded(int n_variables, int degree) {
    std::vector<Exponents> out;
    for (int total = 0; total <= degree; ++total) {
        Exponents power(static_cast<std::size_t>(n_variables));
        extend(out, power, 0, total);
    }
    return out;
}

double value(const Exponents& power, const std::vector<double>& y) {
    double product = 1;
    for (std::size_t j = 0; j < power.size(); ++j) product *= std::pow(y[j], power[j]);
    return product;
}

void test_table(int d, int degree) {
    const Monomials table(d, degree);
    const std::vector<Exponents> all = graded(d, degree);
    CHECK(table.count() == static_cast<Size>(all.size()));
    for (Size number = 0; number < table.count(); ++number) {
        const Exponents& power = all[static_cast<std::size_t>(number)];
        int total = 0, first = d;
        for (int j = d; j-- > 0;) {
            total += power[static_cast<std::size_t>(j)];
            if (power[static_cast<std::size_t>(j)] > 0) first = j;
        }
        CHECK(number >= table.end(total - 1) && number < table.end(total));
        for (int k = 0; k < d; ++k) CHECK((first >= k) == (number >= table.first(total, k)));
    }
    const MonomialProducts products(table);
    CHECK(products.size() == table.end(degree - 1));
    for (Size b = 0; b < products.size(); ++b)
        for (int j = 0; j < d; ++j) {
            Exponents power = all[static_cast<std::size_t>(b)];
            ++power[static_cast<std::size_t>(j)];
            CHECK(all[static_cast<std::size_t>(products.product(b, j))] == power);
            CHECK(products.power(b, j) == power[static_cast<std::size_t>(j)]);
        }
}

// Sums over lanes by any number of strips, twice, against the definition.
void test_sums(int d, int degree, Size lanes) {
    const Monomials table(d, degree);
    const std::vector<Exponents> all = graded(d, degree);
    const Size stride = lanes + 8;
    Buffer<double> rows((d + 1) * stride), memory(polynomial_moments_detail::MonomialSums::memory(table));
    for (Size i = 0; i < rows.size(); ++i) rows[i] = std::sin(1.0 + 0.7 * static_cast<double>(i));
    polynomial_moments_detail::MonomialSums sums(table, memory.data());
    Buffer<double> out(table.count());
    for (int times = 0; times < 2; ++times) {
        sums.add({rows.data(), stride}, rows.data() + d * stride, lanes);
        sums.flush(out.data());
    }
    for (Size number = 0; number < table.count(); ++number) {
        double expected = 0, size = 0;
        for (Size l = 0; l < lanes; ++l) {
            std::vector<double> y;
            for (int j = 0; j < d; ++j) y.push_back(rows[j * stride + l]);
            const double term = 2 * rows[d * stride + l] * value(all[static_cast<std::size_t>(number)], y);
            expected += term;
            size += std::fabs(term);
        }
        CHECK(std::fabs(out[number] - expected) <= 1e-14 * size + 1e-300);
    }
}

}  // namespace

int main() {
    if (!processor_has_level()) return skipped;
    for (int d = 1; d <= 5; ++d)
        for (int degree = 1; degree <= (d < 4 ? 7 : 4); ++degree) test_table(d, degree);
    for (int d = 1; d <= 4; ++d)
        for (int degree = 0; degree <= 6; ++degree)
            for (Size packs : {1, 3, 8, 21}) test_sums(d, degree, packs * pack_size<double>);
    return check_result();
}
