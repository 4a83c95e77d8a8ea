// Packs and the elementary functions of packs, at the level this file is compiled for. The functions are compared with
// those of the C library in long double: over grids, over random bit patterns (all magnitudes), and at special values.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "check.hpp"
#include "scorematch/elementwise.hpp"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

namespace scorematch {
namespace {

using Reference = long double (*)(long double);

template <class T>
constexpr const char* type_name = sizeof(T) == 8 ? "double" : "float";

// ----------------------------------------------------------------------------------------------------------- packs

template <class T>
bool same(T a, T b) {  // tells the zeros apart, and takes all NaN for one
    return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

template <class T>
bool all_lanes(Pack<T> x, T expected) {
    T a[pack_size<T>];
    store<T>(a, x);
    for (T value : a)
        if (!same(value, expected)) return false;
    return true;
}

template <class T>
void test_packs() {
    T numbers[pack_size<T> + 1], copy[pack_size<T> + 2] = {};
    for (index i = 0; i <= pack_size<T>; ++i) numbers[i] = static_cast<T>(i);
    store<T>(copy + 1, load<T>(numbers + 1));  // at least one of the two is not aligned
    for (index i = 1; i <= pack_size<T>; ++i) CHECK(copy[i] == numbers[i]);
    CHECK(copy[0] == 0 && copy[pack_size<T> + 1] == 0);

    for (T value : {T(0), T(-0.0), T(1.5), infinity<T>, -infinity<T>, not_a_number<T>})
        CHECK(all_lanes<T>(broadcast<T>(value), value));

    const Pack<T> first = load<T>(numbers);
    CHECK(sum_lanes<T>(first) == static_cast<T>(pack_size<T> * (pack_size<T> - 1) / 2));
    T cancelling[pack_size<T>] = {};  // 1 is lost beside `large`, unless the halves are added first
    constexpr index half = pack_size<T> / 2;
    const T large = 1 / std::numeric_limits<T>::epsilon() * 4;
    cancelling[0] = large;
    cancelling[1] = 1;
    cancelling[half] = -large;
    if (half > 1) CHECK(sum_lanes<T>(load<T>(cancelling)) == 1);

    const Pack<T> two = broadcast<T>(2);
    T low[pack_size<T>], high[pack_size<T>];
    store<T>(low, minimum<T>(first, two));
    store<T>(high, maximum<T>(first, two));
    const Integers<T> below = first < two;
    for (index i = 0; i < pack_size<T>; ++i) {
        CHECK(low[i] == static_cast<T>(i < 2 ? i : 2));
        CHECK(high[i] == static_cast<T>(i < 2 ? 2 : i));
        CHECK(below[i] == (i < 2 ? -1 : 0));
    }
    CHECK(all_lanes<T>(multiply_add<T>(two, broadcast<T>(3), broadcast<T>(4)), T(10)));
    CHECK(all_lanes<T>(abs<T>(broadcast<T>(-0.0)), T(0)) && all_lanes<T>(abs<T>(broadcast<T>(-2)), T(2)));
    CHECK(all_lanes<T>(abs<T>(broadcast<T>(-infinity<T>)), infinity<T>));
    CHECK(all_lanes<T>(abs<T>(broadcast<T>(not_a_number<T>)), not_a_number<T>));
}

// -------------------------------------------------------------------------------------------------------- accuracy

// |got - want| in units in the last place of T at `want`; below the normal range, in multiples of the least subnormal.
template <class T>
double ulp_error(T got, long double want) {
    using Limits = std::numeric_limits<T>;
    constexpr double wrong = std::numeric_limits<double>::infinity();
    if (std::isnan(want)) return std::isnan(got) ? 0 : wrong;
    if (std::isnan(got)) return wrong;
    const T rounded = static_cast<T>(want);
    if (std::isinf(rounded) || std::isinf(got)) return got == rounded ? 0 : wrong;
    int exponent = 0;
    std::frexp(want, &exponent);
    if (want == 0 || exponent < Limits::min_exponent) exponent = Limits::min_exponent;
    return static_cast<double>(std::abs(got - want) / std::ldexp(1.0L, exponent - Limits::digits));
}

struct Splitmix {
    std::uint64_t state;
    std::uint64_t operator()() {
        std::uint64_t z = state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
};

// Random bit patterns, each sign and each magnitude alike, and a grid on [low, high]. An odd number, so that the last
// pack is not full.
template <class T>
std::vector<T> arguments(double low, double high) {
    constexpr int n = 150001;
    std::vector<T> x;
    Splitmix random{7};
    for (int i = 0; i < n; ++i) {
        const auto word = static_cast<typename MathConstants<T>::Word>(random());
        T value;
        std::memcpy(&value, &word, sizeof value);
        x.push_back(value);
        x.push_back(static_cast<T>(low + (high - low) * i / (n - 1)));
    }
    x.push_back(0);
    return x;
}

template <class T>
std::vector<T> apply(const char* name, const std::vector<T>& x, T parameter) {
    std::vector<T> y(x.size());
    CHECK(apply_elementwise<T>(name, x.data(), y.data(), static_cast<index>(x.size()), parameter));
    return y;
}

struct Worst {
    double error = 0;
    double at = 0;
    void add(double new_error, double argument) {
        if (new_error > error) *this = {new_error, argument};
    }
};

template <class T>
void report(const char* name, const Worst& worst, double allowed) {
    std::printf("%-8s %-6s %-22s %6.3f ulp, at %.17g\n", TEXT(SCOREMATCH_LEVEL), type_name<T>, name, worst.error,
                worst.at);
    CHECK(worst.error <= allowed);
}

template <class T>
void test_accuracy(const char* name, Reference reference, double low, double high) {
    const std::vector<T> x = arguments<T>(low, high), y = apply<T>(name, x, T(0));
    Worst worst;
    for (std::size_t i = 0; i < x.size(); ++i)
        worst.add(ulp_error<T>(y[i], reference(x[i])), static_cast<double>(x[i]));
    report<T>(name, worst, 4);
}

long double ln2() { return std::log(2.0L); }
long double reference_log_cosh(long double x) {
    const long double a = std::abs(x);
    if (a > 1) return a - ln2() + std::log1p(std::exp(-2 * a));
    const long double h = std::sinh(a / 2);
    return std::log1p(2 * h * h);
}
long double reference_softplus(long double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
long double reference_sigmoid(long double x) {
    return x > 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
long double reference_inverse_sqrt(long double x) { return 1 / std::sqrt(x); }

template <class T>
void test_accuracy_of_all() {
    // The edges of the range of exp, twice as far as the results go; close to 0; where the interest is.
    const double most = sizeof(T) == 8 ? 760 : 120;
    for (double range : {most, 20.0, 1.0, 1e-3}) {
        test_accuracy<T>("exp", std::exp, -range, range);
        test_accuracy<T>("tanh", std::tanh, -range, range);
        test_accuracy<T>("log_cosh", reference_log_cosh, -range, range);
        test_accuracy<T>("softplus", reference_softplus, -range, range);
        test_accuracy<T>("sigmoid", reference_sigmoid, -range, range);
        test_accuracy<T>("log1p", std::log1p, -1, range);
        test_accuracy<T>("log", std::log, 1 - (range < 1 ? range : 1), 1 + range);
        test_accuracy<T>("sqrt", std::sqrt, 0, range);
        test_accuracy<T>("inverse_sqrt", reference_inverse_sqrt, 0, range);
    }
    const std::vector<T> x = arguments<T>(-most, 0);
    Worst worst;
    std::vector<T> y = apply<T>("exp_nonpositive", x, T(0));
    for (std::size_t i = 0; i < x.size(); ++i)
        if (!(x[i] > 0)) worst.add(ulp_error<T>(y[i], std::exp(static_cast<long double>(x[i]))), double(x[i]));
    report<T>("exp_nonpositive", worst, 4);
}

// Multiples of 1/4 exactly; elsewhere the remainder of a quarter, which is exact, goes to the C library.
template <class T>
void test_turns() {
    const T most = sizeof(T) == 8 ? static_cast<T>(0x1p49) : static_cast<T>(0x1p20);
    for (double range : {static_cast<double>(most), 20.0, 1.0, 1e-3}) {
        const std::vector<T> x = arguments<T>(-range, range);
        const std::vector<T> sine = apply<T>("sine_of_turns", x, T(0)), cosine = apply<T>("cosine_of_turns", x, T(0));
        Worst worst_sine, worst_cosine;
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (!(std::abs(x[i]) <= most)) continue;
            const long double quarters = 4 * static_cast<long double>(x[i]), q = std::nearbyint(quarters);
            const long double angle = (quarters - q) * (std::acos(-1.0L) / 2);
            const int quadrant = static_cast<int>(std::fmod(q, 4.0L)) & 3;
            const long double s = std::sin(angle), c = std::cos(angle);
            const long double sines[] = {s, c, -s, -c}, cosines[] = {c, -s, -c, s};
            worst_sine.add(ulp_error<T>(sine[i], sines[quadrant]), static_cast<double>(x[i]));
            worst_cosine.add(ulp_error<T>(cosine[i], cosines[quadrant]), static_cast<double>(x[i]));
        }
        report<T>("sine_of_turns", worst_sine, 4);
        report<T>("cosine_of_turns", worst_cosine, 4);
    }
    for (int quarter = -9; quarter < 9; ++quarter) {
        const T sines[] = {0, 1, 0, -1}, x = static_cast<T>(quarter) / 4;
        CHECK(apply<T>("sine_of_turns", {x}, T(0))[0] == sines[quarter & 3]);
        CHECK(apply<T>("cosine_of_turns", {x}, T(0))[0] == sines[(quarter + 1) & 3]);
    }
}

// The logarithm has a fixed number of extra bits, so the error grows with |p|.
template <class T>
void test_power() {
    for (T p : {T(0), T(0.5), T(1), T(1.5), T(2), T(3), T(-1), T(-0.5), T(0.1), T(1) / 3, T(2.3), T(-3.25), T(17.5),
                T(-1e-3), T(-150), T(1234.5)}) {
        const double size = std::abs(static_cast<double>(p));
        const std::vector<T> x = arguments<T>(size > 100 ? 0.5 : 0, size > 100 ? 2 : 50), y = apply<T>("power", x, p);
        Worst worst;
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (x[i] < 0) continue;
            const long double want = std::isnan(x[i]) ? x[i] : std::pow(std::abs(static_cast<long double>(x[i])), p);
            worst.add(ulp_error<T>(y[i], want), static_cast<double>(x[i]));
        }
        char name[40];
        std::snprintf(name, sizeof name, "power %g", static_cast<double>(p));
        report<T>(name, worst, size <= 150 ? 4 : size / 40);
    }
}

// -------------------------------------------------------------------------------------------------- special values

template <class T>
void test_special(const char* name, T x, T expected, T parameter = 0) {
    const T y = apply<T>(name, {x}, parameter)[0];
    if (!same(y, expected))
        std::printf("%s(%g), parameter %g: %g instead of %g\n", name, double(x), double(parameter), double(y),
                    double(expected));
    CHECK(same(y, expected));
}

template <class T>
void test_specials() {
    constexpr T inf = infinity<T>, nan = not_a_number<T>, most = std::numeric_limits<T>::max();
    constexpr T least = std::numeric_limits<T>::denorm_min();
    const T ln2 = static_cast<T>(scorematch::ln2());
    struct {
        const char* name;
        T at_minus_infinity, at_minus_zero, at_zero, at_infinity;
    } const limits[] = {
        {"exp", 0, 1, 1, inf},
        {"log", nan, -inf, -inf, inf},
        {"log1p", nan, -T(0), 0, inf},
        {"tanh", -1, -T(0), 0, 1},
        {"log_cosh", inf, 0, 0, inf},
        {"softplus", 0, ln2, ln2, inf},
        {"sigmoid", 0, T(0.5), T(0.5), 1},
        {"sqrt", nan, -T(0), 0, inf},
        {"inverse_sqrt", nan, -inf, inf, 0},
        {"abs", inf, 0, 0, inf},
        {"sine_of_turns", nan, -T(0), 0, nan},
        {"cosine_of_turns", nan, 1, 1, nan},
    };
    for (const auto& f : limits) {
        test_special<T>(f.name, nan, nan);
        test_special<T>(f.name, -nan, nan);
        test_special<T>(f.name, -inf, f.at_minus_infinity);
        test_special<T>(f.name, -T(0), f.at_minus_zero);
        test_special<T>(f.name, T(0), f.at_zero);
        test_special<T>(f.name, inf, f.at_infinity);
    }
    test_special<T>("exp", most, inf);
    test_special<T>("exp", -most, 0);
    test_special<T>("exp_nonpositive", -inf, 0);
    test_special<T>("exp_nonpositive", 0, 1);
    test_special<T>("exp_nonpositive", nan, nan);
    for (T x : {-least, T(-1), -most}) test_special<T>("log", x, nan);
    test_special<T>("log", 1, 0);
    test_special<T>("log1p", -1, -inf);
    test_special<T>("log1p", T(-1) - std::numeric_limits<T>::epsilon(), nan);
    for (T x : {least, -least, std::numeric_limits<T>::min(), -std::numeric_limits<T>::min()}) {
        test_special<T>("tanh", x, x);
        test_special<T>("log1p", x, x);
        test_special<T>("log_cosh", x, 0);
    }
    test_special<T>("tanh", most, 1);
    test_special<T>("tanh", -most, -1);
    test_special<T>("log_cosh", -most, most);
    test_special<T>("softplus", most, most);
    test_special<T>("softplus", -most, 0);
    test_special<T>("sigmoid", most, 1);
    test_special<T>("sigmoid", -most, 0);

    for (T p : {T(0.5), T(1), T(1.5), T(2), T(3), T(0.7), T(2.5), T(1e-30), T(1e30)}) {
        test_special<T>("power", 0, 0, p);
        test_special<T>("power", inf, inf, p);
        test_special<T>("power", 1, 1, p);
        test_special<T>("power", nan, nan, p);
        test_special<T>("power", 0, inf, -p);
        test_special<T>("power", -T(0), inf, -p);
        test_special<T>("power", inf, 0, -p);
        test_special<T>("power", 1, 1, -p);
    }
    for (T x : {T(0), T(1), T(3), inf}) test_special<T>("power", x, 1, 0);
    test_special<T>("power", -T(0), 0, T(0.5));
    test_special<T>("power", -1, nan, T(0.7));
    test_special<T>("power", 2, inf, T(1e30));
    test_special<T>("power", 2, 0, T(-1e30));
    test_special<T>("power", most, inf, most);
    test_special<T>("power", T(0.5), 0, most);
    test_special<T>("power", 2, nan, nan);
}

template <class T>
void test_elementwise() {
    const T in[2] = {1, 2};
    T out[2] = {5, 5};
    CHECK(!apply_elementwise<T>("no such function", in, out, 2, T(0)));
    CHECK(apply_elementwise<T>("exp", in, out, 0, T(0)));
    CHECK(out[0] == 5);
    CHECK(apply_elementwise<T>("abs", in, out, 1, T(0)));
    CHECK(out[0] == 1 && out[1] == 5);
}

template <class T>
void test_all() {
    test_packs<T>();
    test_specials<T>();
    test_elementwise<T>();
    test_accuracy_of_all<T>();
    test_turns<T>();
    test_power<T>();
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    scorematch::test_all<double>();
    scorematch::test_all<float>();
    return check_result();
}
