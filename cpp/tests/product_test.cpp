// The products of small matrices and tiles, and the moments of samples, against loops in double.
//
// The entries are small integers, so that every sum is exact in float as well and results are compared for equality.
// What the kernels must not read is not-a-number, and what they must not write is compared afterwards.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <vector>

#include "check.hpp"
#include "scorematch/moments.hpp"
#include "scorematch/peak.hpp"
#include "scorematch/product.hpp"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

namespace scorematch {
namespace {

std::uint64_t random_state = 1;
std::uint64_t random_bits() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}
int random_integer() { return static_cast<int>(random_bits() >> 40) % 9 - 4; }

template <class T>
constexpr T nan = std::numeric_limits<T>::quiet_NaN();

// Rows of random integers; behind each row of `lanes` a few numbers that nobody may read.
template <class T>
struct TestRows {
    TestRows(index n_rows, index lanes_, index padding = 3)
        : numbers(static_cast<std::size_t>(n_rows * (lanes_ + padding)), nan<T>), lanes(lanes_),
          stride(lanes_ + padding) {
        for (index i = 0; i < n_rows; ++i)
            for (index l = 0; l < lanes; ++l) rows()[i][l] = static_cast<T>(random_integer());
    }
    Rows<T> rows() { return {numbers.data(), stride}; }
    Rows<const T> constant() { return rows(); }
    // Whether what lies behind the rows is as it was.
    bool padding_untouched() const {
        for (std::size_t i = 0; i < numbers.size(); ++i)
            if (static_cast<index>(i) % stride >= lanes && !std::isnan(numbers[i])) return false;
        return true;
    }
    std::vector<T> numbers;
    index lanes, stride;
};

// ------------------------------------------------------------------------------------------------------- multiply

template <class T>
void test_multiply(index m, index k, index lanes) {
    TestRows<T> x(k, lanes), out(m, lanes, 5);
    std::vector<double> w(static_cast<std::size_t>(m * k));
    std::vector<T> bias(static_cast<std::size_t>(m));
    for (double& entry : w) entry = random_integer();
    for (T& entry : bias) entry = static_cast<T>(random_integer());
    const PackedMatrix<T> packed(w.data(), m, k, 1, m);  // the columns are contiguous
    CHECK(packed.n_rows() == m && packed.n_columns() == k);

    for (int start = 0; start < 3; ++start) {
        TestRows<T> before = out;
        if (start == 0) multiply(packed, x.rows(), lanes, out.rows());
        if (start == 1) multiply(packed, x.rows(), lanes, out.rows(), bias.data());
        if (start == 2) multiply_onto(packed, x.rows(), lanes, out.rows());
        bool right = out.padding_untouched();
        for (index i = 0; i < m; ++i)
            for (index l = 0; l < lanes; ++l) {
                double expected = start == 0 ? 0 : start == 1 ? bias[static_cast<std::size_t>(i)] : before.rows()[i][l];
                for (index j = 0; j < k; ++j) expected += w[static_cast<std::size_t>(i + j * m)] * x.rows()[j][l];
                right = right && out.rows()[i][l] == static_cast<T>(expected);
            }
        CHECK(right);
        if (!right) std::printf("  multiply, start %d, m = %td, k = %td, lanes = %td\n", start, m, k, lanes);
    }
}

// From float and double, by rows and by columns, the same matrix.
template <class T>
void test_packing() {
    const index m = 7, k = 5, lanes = 2 * pack_size<T>;
    TestRows<T> x(k, lanes), first(m, lanes), second(m, lanes);
    std::vector<double> by_columns(3 * m * k);
    std::vector<float> by_rows(2 * m * k);
    for (index i = 0; i < m; ++i)
        for (index j = 0; j < k; ++j) {
            const int entry = random_integer();
            by_columns[static_cast<std::size_t>(3 * (i + j * m))] = entry;
            by_rows[static_cast<std::size_t>(2 * (i * k + j))] = static_cast<float>(entry);
        }
    PackedMatrix<T> packed;
    packed = PackedMatrix<T>(by_columns.data(), m, k, 3, 3 * m);
    multiply(packed, x.rows(), lanes, first.rows());
    multiply(PackedMatrix<T>(by_rows.data(), m, k, 2 * k, 2), x.rows(), lanes, second.rows());
    for (index i = 0; i < m; ++i)
        for (index l = 0; l < lanes; ++l) CHECK(first.rows()[i][l] == second.rows()[i][l]);
}

// ---------------------------------------------------------------------------------------------------------- outer

// sums[i·ld + j] of a (m, n) result: what is expected of an entry, or that it must not be touched, or may be anything.
enum class Entry { sum, untouched, any };

template <class T, class Kind>
void check_outer(const char* name, index m, index n, index lanes, index ld, int n_terms, TestRows<T>* const* a,
                 TestRows<T>* const* b, const std::vector<double>& before, const std::vector<double>& after,
                 const Kind& kind) {
    bool right = true;
    for (index i = 0; i < m; ++i)
        for (index j = 0; j < ld; ++j) {
            double expected = before[static_cast<std::size_t>(i * ld + j)];
            const Entry entry = j < n ? kind(i, j) : Entry::untouched;
            if (entry == Entry::any) continue;
            for (int term = 0; term < n_terms && entry == Entry::sum; ++term)
                for (index l = 0; l < lanes; ++l)
                    expected += static_cast<double>(a[term]->rows()[i][l]) * static_cast<double>(b[term]->rows()[j][l]);
            right = right && after[static_cast<std::size_t>(i * ld + j)] == expected;
        }
    CHECK(right);
    if (!right) std::printf("  %s, %d terms, m = %td, n = %td, lanes = %td\n", name, n_terms, m, n, lanes);
}

template <class T>
void test_outer(index m, index n, index lanes) {
    TestRows<T> a(m, lanes), b(n, lanes, 1), a2(m, lanes), b2(n, lanes, 4);
    TestRows<T>* const left[] = {&a, &a2};
    TestRows<T>* const right[] = {&b, &b2};
    const index ld = n + 3;
    std::vector<double> before(static_cast<std::size_t>(m * ld));
    for (double& entry : before) entry = random_integer();
    const auto all = [](index, index) { return Entry::sum; };
    std::vector<double> sums = before;
    accumulate_outer<T>(a.rows(), m, b.rows(), n, lanes, sums.data(), ld);
    check_outer("accumulate_outer", m, n, lanes, ld, 1, left, right, before, sums, all);
    sums = before;
    accumulate_outer<T>(a.rows(), a2.constant(), m, b.rows(), b2.rows(), n, lanes, sums.data(), ld);
    check_outer("accumulate_outer", m, n, lanes, ld, 2, left, right, before, sums, all);
    if (m != n) return;
    const auto upper = [](index i, index j) { return j >= i ? Entry::sum : Entry::any; };
    sums = before;
    accumulate_symmetric<T>(a.rows(), b.rows(), m, lanes, sums.data(), ld);
    check_outer("accumulate_symmetric", m, n, lanes, ld, 1, left, right, before, sums, upper);
    sums = before;
    accumulate_symmetric<T>(a.rows(), b.rows(), a2.rows(), b2.rows(), m, lanes, sums.data(), ld);
    check_outer("accumulate_symmetric", m, n, lanes, ld, 2, left, right, before, sums, upper);
}

// -------------------------------------------------------------------------------------------------------- samples

template <class T>
void test_samples(index n, index d, index row_stride, index column_stride, bool weighted, bool about_origin) {
    const index size = n * d * (row_stride > column_stride ? row_stride : column_stride);
    std::vector<T> data(static_cast<std::size_t>(size), nan<T>);
    std::vector<double> origin(static_cast<std::size_t>(d)), weight(static_cast<std::size_t>(n));
    for (index s = 0; s < n; ++s)
        for (index j = 0; j < d; ++j)
            data[static_cast<std::size_t>(s * row_stride + j * column_stride)] = static_cast<T>(random_integer());
    for (double& o : origin) o = about_origin ? random_integer() : 0;
    for (double& w : weight) w = weighted ? random_integer() : 1;
    const Samples<T> samples{data.data(), n, d, row_stride, column_stride, about_origin ? origin.data() : nullptr};
    const auto y = [&](index s, index j) {
        return static_cast<double>(data[static_cast<std::size_t>(s * row_stride + j * column_stride)]) -
               origin[static_cast<std::size_t>(j)];
    };

    const index first_sample = n / 3, count = n - first_sample;
    TestRows<T> turned(d, count);
    transpose_samples(samples, first_sample, count, turned.rows(), ahead_of(samples, first_sample, count));
    bool right = turned.padding_untouched();
    for (index s = 0; s < count; ++s)
        for (index j = 0; j < d; ++j) right = right && turned.rows()[j][s] == static_cast<T>(y(first_sample + s, j));
    CHECK(right);

    std::vector<double> first(static_cast<std::size_t>(d)), second(static_cast<std::size_t>(d * d));
    moments(samples, weighted ? weight.data() : nullptr, origin.data(), false, first.data(), second.data(), 1);
    right = true;
    for (index i = 0; i < d; ++i) {
        double expected = 0;
        for (index s = 0; s < n; ++s) expected += weight[static_cast<std::size_t>(s)] * y(s, i);
        right = right && first[static_cast<std::size_t>(i)] == expected;
        for (index j = 0; j < d; ++j) {
            expected = 0;
            for (index s = 0; s < n; ++s) expected += weight[static_cast<std::size_t>(s)] * y(s, i) * y(s, j);
            right = right && second[static_cast<std::size_t>(i * d + j)] == expected;
        }
    }
    CHECK(right);
    if (!right)
        std::printf("  samples, n = %td, d = %td, strides %td, %td, weighted %d, origin %d\n", n, d, row_stride,
                    column_stride, weighted, about_origin);
}

// x − origin to the last digit, for an origin that T does not hold and samples near it.
template <class T>
void test_far_samples(index d) {
    const index n = 3 * pack_size<T> + 1;
    const double far = sizeof(T) == sizeof(double) ? 1e15 : 1e5;
    std::vector<T> data(static_cast<std::size_t>(n * d));
    std::vector<double> origin(static_cast<std::size_t>(d));
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<T>(far + static_cast<double>(i % 7));
    for (std::size_t j = 0; j < origin.size(); ++j) origin[j] = far + 0.3 * static_cast<double>(j + 1);
    TestRows<T> turned(d, n);
    transpose_samples(Samples<T>{data.data(), n, d, d, 1, origin.data()}, 0, n, turned.rows());
    bool right = turned.padding_untouched();
    for (index s = 0; s < n; ++s)
        for (index j = 0; j < d; ++j) {
            const double y =
                static_cast<double>(data[static_cast<std::size_t>(s * d + j)]) - origin[static_cast<std::size_t>(j)];
            const double error = std::fabs(static_cast<double>(turned.rows()[j][s]) - y);
            right = right && error <= (sizeof(T) == sizeof(double) ? 0 : 1e-6) * (1 + std::fabs(y));
        }
    CHECK(right);
}

// -------------------------------------------------------------------------------------------------- repeatability

// The same bits each time and wherever in memory, with entries whose sums are rounded; and near the sums in double.
template <class T>
void test_rounded(index m, index k, index lanes) {
    std::vector<T> x_first, out_first;
    std::vector<double> sums_first;
    TestRows<T> x(k, lanes);
    std::vector<double> w(static_cast<std::size_t>(m * k));
    for (index i = 0; i < k; ++i)
        for (index l = 0; l < lanes; ++l) x.rows()[i][l] = static_cast<T>(std::sin(static_cast<double>(i * lanes + l)));
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::cos(static_cast<double>(i));
    const PackedMatrix<T> packed(w.data(), m, k, k, 1);
    for (index offset = 0; offset < 5; ++offset) {
        std::vector<T> out(static_cast<std::size_t>(m * lanes + offset)),
            copy(static_cast<std::size_t>(k * lanes + offset));
        const Rows<T> moved{copy.data() + offset, lanes};
        for (index i = 0; i < k; ++i)
            for (index l = 0; l < lanes; ++l) moved[i][l] = x.rows()[i][l];
        multiply(packed, moved, lanes, Rows<T>{out.data() + offset, lanes});
        std::vector<double> sums(static_cast<std::size_t>(m * k));
        accumulate_outer<T>(Rows<T>{out.data() + offset, lanes}, m, moved, k, lanes, sums.data(), k);
        out.erase(out.begin(), out.begin() + offset);
        if (offset == 0) {
            out_first = out;
            sums_first = sums;
        }
        CHECK(out == out_first);
        CHECK(sums == sums_first);
    }
    const double tolerance = 4 * static_cast<double>(std::numeric_limits<T>::epsilon());
    for (index i = 0; i < m; ++i) {
        for (index l = 0; l < lanes; ++l) {
            double expected = 0;
            for (index j = 0; j < k; ++j) expected += w[static_cast<std::size_t>(i * k + j)] * x.rows()[j][l];
            const double got = out_first[static_cast<std::size_t>(i * lanes + l)];
            CHECK(std::fabs(got - expected) <= tolerance * static_cast<double>(k));
        }
        for (index j = 0; j < k; ++j) {
            double expected = 0, size = 0;
            for (index l = 0; l < lanes; ++l) {
                const double term = static_cast<double>(out_first[static_cast<std::size_t>(i * lanes + l)]) *
                                    static_cast<double>(x.rows()[j][l]);
                expected += term;
                size += std::fabs(term);
            }
            const double got = sums_first[static_cast<std::size_t>(i * k + j)];
            CHECK(std::fabs(got - expected) <= tolerance * size * std::sqrt(static_cast<double>(lanes)));
        }
    }
}

// ------------------------------------------------------------------------------------------------------------ all

template <class T>
void test_all() {
    const index width = pack_size<T>;
    for (index m = 1; m <= 20; ++m)
        for (index k = 1; k <= 20; ++k)
            for (index packs : {1, 3, 7}) {
                test_multiply<T>(m, k, packs * width);
                test_outer<T>(m, k, packs * width);
            }
    const index shapes[][2] = {{1, 1}, {2, 2}, {5, 3}, {10, 10}, {9, 17}, {50, 31}, {70, 70}};
    for (const auto& shape : shapes) {
        // Every number of packs; for the large shapes, where the loops of this file take long, a few.
        const index step = shape[0] < 50 ? width : 11 * width;
        for (index lanes = width; lanes <= 264; lanes += step) {
            test_multiply<T>(shape[0], shape[1], lanes);
            test_outer<T>(shape[0], shape[1], lanes);
        }
    }
    test_multiply<T>(3, 2000, 32 * width);  // more columns than a strip of four packs holds in the cache
    test_outer<T>(3, 40, 4096);             // and more lanes than a row of the cached group
    test_packing<T>();

    for (index d = 1; d <= 35; ++d)
        for (index n : {1, 5, 16, 67}) {
            test_samples<T>(n, d, d, 1, false, true);      // C order
            test_samples<T>(n, d, d + 3, 1, true, false);  // with something between the rows
            test_samples<T>(n, d, 1, n, true, true);       // Fortran order
            test_samples<T>(n, d, 2 * d + 1, 2, false, false);
        }
    for (index d = 1; d <= 20; ++d) test_far_samples<T>(d);
    for (index d : {3, 70, 300}) test_samples<T>(700 / (d > 100 ? 5 : 1), d, d, 1, true, true);  // several tiles

    test_rounded<T>(10, 10, 256);
    test_rounded<T>(13, 21, 8 * width);
    test_rounded<T>(64, 64, 64);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    using namespace scorematch;
    test_all<double>();
    test_all<float>();
    CHECK(fma_peak_gflops<double>(2, 1e-4) > 0);
    CHECK(fma_peak_gflops<float>(2, 1e-4) > 0);
    std::printf("product_test at level %s: %d failures\n", TEXT(SCOREMATCH_LEVEL), check::failures);
    return check_result();
}
