// The factors and inverses of small_matrix.hpp against the identities that define them, at every size around a pack.
#include "scorematch/small_matrix.hpp"

#include <cmath>

#include "check.hpp"

using namespace scorematch;

namespace {

using Size = scorematch::index;

// A lower triangular matrix with a diagonal of about 1, and its transpose.
void fill_triangles(Size size, Rows<double> lower, Rows<double> upper) {
    for (Size i = 0; i < size; ++i)
        for (Size j = 0; j <= i; ++j) {
            const double wave = std::sin(static_cast<double>(7 * i * i + 3 * j + 1));
            lower[i][j] = upper[j][i] = i == j ? 1 + 0.3 * wave : 0.5 * wave / std::sqrt(static_cast<double>(size));
        }
}

double entry_of_product(Rows<const double> a, Rows<const double> b, Size size, Size i, Size j) {
    double sum = 0;
    for (Size l = 0; l < size; ++l) sum += a[i][l] * b[l][j];
    return sum;
}

void check_size(Size size) {
    const double tolerance = 1e-13 * static_cast<double>(size);
    SquareMatrices matrices(6, size);
    const Rows<double> lower = matrices[0], upper = matrices[1], gram = matrices[2], factor = matrices[3];
    fill_triangles(size, lower, upper);

    gram_of_upper(upper, 0.25, size, gram);
    gram_of_upper(upper, 0, size, factor);
    double error = 0;
    for (Size i = 0; i < size; ++i)
        for (Size j = i; j < size; ++j) {
            const double expected = entry_of_product(lower, upper, size, i, j);
            error = std::fmax(error, std::fabs(factor[i][j] - expected));
            error = std::fmax(error, std::fabs(gram[i][j] - expected - (i == j ? 0.25 : 0)));
        }
    CHECK(error < tolerance);

    cholesky_upper(factor, size);
    error = 0;
    for (Size i = 0; i < size; ++i)
        for (Size j = i; j < size; ++j) error = std::fmax(error, std::fabs(factor[i][j] - upper[i][j]));
    CHECK(error < tolerance);

    // From the upper triangle alone: what is below the diagonal of `factor` is of no use.
    const Rows<double> inverse_factor = matrices[4], inverse = matrices[5];
    invert_from_upper(factor, size, inverse_factor, inverse);
    multiply_square(lower, upper, size, gram);
    multiply_square(gram, inverse, size, factor);
    error = 0;
    for (Size i = 0; i < size; ++i)
        for (Size j = 0; j < size; ++j) {
            error = std::fmax(error, std::fabs(factor[i][j] - (i == j ? 1 : 0)));
            error = std::fmax(error, std::fabs(inverse[i][j] - inverse[j][i]));
        }
    CHECK(error < 100 * tolerance);
}

constexpr Size large_sizes[] = {48, 49, 64, 100};

}  // namespace

int main() {
    if (!processor_has_level()) return skipped;
    for (Size size = 1; size <= 35; ++size) check_size(size);
    for (const Size size : large_sizes) check_size(size);

    SquareMatrices indefinite(1, 2);
    indefinite[0][0][0] = 1;
    indefinite[0][0][1] = 2;
    indefinite[0][1][1] = 1;
    cholesky_upper(indefinite[0], 2);
    CHECK(std::isnan(indefinite[0][1][1]));
    return check_result();
}
