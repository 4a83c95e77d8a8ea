// Weights on arrays: neither where an array ends nor which column a distance stands in changes the last bit.
#include "check.hpp"
#include "scorematch/levels.hpp"
#include "this_level.hpp"

namespace scorematch {
namespace {

const char* const names[] = {"identity", "log1p", "tanh", "asinh", "softplus", "mcp", "scad", "sine"};
constexpr double infinity = __builtin_inf();
constexpr double parameter = 2.5, untouched = -7;

struct Result {
    std::vector<double> h, slope;
};

Result weight(const char* name, const std::vector<double>& x, std::vector<double> column_values, double exponent) {
    const index n_columns = static_cast<index>(column_values.size());
    for (std::size_t i = 0; i < weight_margin; ++i) column_values.push_back(column_values[i]);
    // One more number, which must be left alone.
    Result result{std::vector<double>(x.size() + 1, untouched), std::vector<double>(x.size() + 1, untouched)};
    const WeightArrays arrays{
        x.data(), result.h.data(), result.slope.data(), static_cast<index>(x.size()), column_values.data(), n_columns};
    CHECK(this_level()->weight(name, parameter, exponent, arrays));
    return result;
}

void test_arrays(const char* name, double exponent) {
    for (index n_columns : {1, 2, 3, 5, 8, 13})
        for (index n_rows : {0, 1, 2, 3, 7, 400}) {
            std::vector<double> x = numbers<double>(n_rows * n_columns, 1);
            for (double& value : x) value = 3 * (value + 1);
            if (x.size() > 3) x[3] = infinity;
            std::vector<double> column_values = numbers<double>(n_columns, 2);
            for (double& value : column_values) value += 1.5;

            const Result all = weight(name, x, column_values, exponent);
            CHECK(all.h.back() == untouched && all.slope.back() == untouched);
            bool same = true;
            for (std::size_t i = 0; i < x.size(); ++i) {
                const Result one = weight(name, {x[i]}, {column_values[i % column_values.size()]}, exponent);
                same = same && one.h[0] == all.h[i] && one.slope[0] == all.slope[i];
            }
            CHECK(same);
        }
}

void test_names() {
    const double x = 1;
    double h = 0, slope = 0;
    const std::vector<double> column_values(1 + weight_margin, infinity);
    CHECK(!this_level()->weight("no such function", 1, 1, {&x, &h, &slope, 1, column_values.data(), 1}));
    CHECK(h == 0 && slope == 0);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    for (const char* name : scorematch::names)
        for (double exponent : {1.0, 1.5, 0.7}) scorematch::test_arrays(name, exponent);
    scorematch::test_names();
    return check_result();
}
