// Elementary functions of packs: exp, log, log1p, tanh, log_cosh, softplus, sigmoid, power, sqrt, inverse_sqrt, abs,
// and sine and cosine of angles in turns.
//
// Each is within 4 ulp of the true value (cpp/tests/vector_math_test.cpp measures below 2.5) over its whole domain,
// subnormal results included (power: see there); infinities, NaN and signed zeros are treated as by the C library.
// Nothing branches on the data, so the cost does not depend on it.
//
// All of it rests on two kernels, e^r on |r| <= ln2/2 and log(1+f) on 1/√2 <= 1+f <= √2. Their polynomials are minimax
// fits in the relative error of the function (Remez exchange in 50 digits with mpmath, coefficients then rounded); the
// error each one leaves stands beside its coefficients. u is half an ulp of 1: 2^-53 (double), 2^-24 (float).
//
// All is inlined: a call would put every pack the caller holds in registers into memory, for none is kept over calls.
//
// The compiler may or may not contract a·b + c into one rounding. Where a product has to be exact, its factors are
// therefore short enough (trailing zeros) that it is exact either way.
#pragma once

#include <cstdint>

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>
#endif

#include "scorematch/pack.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// The number format, and the constants and polynomials fitted to its precision.
template <class T>
struct MathConstants;

template <>
struct MathConstants<double> {
    using Word = std::uint64_t;
    typedef Word Words __attribute__((vector_size(pack_bytes)));
    static constexpr int mantissa_bits = 52;
    static constexpr Word exponent_bias = 1023;
    static constexpr Word sqrt_half = 0x3fe6a09e667f3bcd;   // the bits of 1/√2
    static constexpr Word upper_half = 0xfffffffff8000000;  // keeps 26 bits of 53
    static constexpr double smallest_normal = 0x1p-1022;
    // Adding it rounds to an integer, which is then also in the low bits of the sum.
    static constexpr double rounder = 0x1.8p52;

    static constexpr double log2_e = 0x1.71547652b82fep+0;
    // ln2 = high + low; n·high is exact for every exponent n.
    static constexpr double ln2_high = 0x1.62e42fefa3800p-1;
    static constexpr double ln2_low = 0x1.ef35793c76730p-45;
    // e^x is 0 below and infinite above, with some room: only the exponent's arithmetic must not wrap.
    static constexpr double exp_least = -760;
    static constexpr double exp_most = 760;
    // tanh(x) rounds to 1 beyond.
    static constexpr double tanh_most = 20;

    // (e^r - 1 - r)/r²: e^r - 1 to 2^-54.7.
    static constexpr double expm1_tail[] = {0.5000000000000006,     0.16666666666666588,    0.04166666666657648,
                                            0.008333333333389786,   0.0013888888931665826,  0.00019841269718598074,
                                            2.4801505143353387e-05, 2.7557407788725956e-06, 2.762609275838053e-07,
                                            2.505374221548494e-08};
    // (2·atanh(s) - 2s)/s³ in s²: atanh(s) to 2^-58.9.
    static constexpr double atanh_tail[] = {0.6666666666666735, 0.3999999999941289,  0.28571428742824573,
                                            0.2222219852463382, 0.18183567031076817, 0.1531397692972899,
                                            0.14796728599855655};
    // (cosh(x) - 1 - x²/2)/x⁴ in x², where cosh(x) <= √2: cosh(x) - 1 to 2^-57.2.
    static constexpr double cosh_tail[] = {0.04166666666666658,   0.0013888888888910923, 2.48015872832427e-05,
                                           2.755732624431529e-07, 2.087539920584363e-09, 1.1599807674422722e-11};
    // sin(πf/2)/f and (cos(πf/2) - 1)/f² in f², where |f| <= 1/2: the sine to 2^-58.1, the cosine to 2^-64.5.
    static constexpr double sine_of_quarters[] = {
        1.5707963267948966,     -0.6459640975062443,     0.07969262624603957,  -0.004681754132282454,
        0.00016044115029189453, -3.5986417551299964e-06, 5.633721075556274e-08};
    static constexpr double cosine_of_quarters[] = {
        -1.2337005501361697,     0.2536695079010468,     -0.02086348076331257,  0.0009192602741910826,
        -2.5202036788364266e-05, 4.7106096711099197e-07, -6.321202225895778e-09};
};

template <>
struct MathConstants<float> {
    using Word = std::uint32_t;
    typedef Word Words __attribute__((vector_size(pack_bytes)));
    static constexpr int mantissa_bits = 23;
    static constexpr Word exponent_bias = 127;
    static constexpr Word sqrt_half = 0x3f3504f3;
    static constexpr Word upper_half = 0xfffff000;  // keeps 12 bits of 24
    static constexpr float smallest_normal = 0x1p-126f;
    static constexpr float rounder = 0x1.8p23f;

    static constexpr float log2_e = 0x1.715476p+0f;
    static constexpr float ln2_high = 0x1.62e4p-1f;
    static constexpr float ln2_low = 0x1.7f7d1cp-20f;
    static constexpr float exp_least = -110;
    static constexpr float exp_most = 110;
    static constexpr float tanh_most = 10;

    // e^r - 1 to 2^-25.8, atanh(s) to 2^-30.0, cosh(x) - 1 to 2^-28.6.
    static constexpr float expm1_tail[] = {0.49999997f, 0.16666543f, 0.0416672f, 0.0083665475f, 0.0013882518f};
    static constexpr float atanh_tail[] = {0.66666776f, 0.39977518f, 0.298724f};
    static constexpr float cosh_tail[] = {0.04166669f, 0.0013887015f, 2.5216406e-05f};
    // The sine to 2^-28.2, the cosine to 2^-33.9.
    static constexpr float sine_of_quarters[] = {1.5707963f, -0.64596346f, 0.07968003f, -0.0046016579f};
    static constexpr float cosine_of_quarters[] = {-1.2337005f, 0.25366923f, -0.020860165f, 0.00090376656f};
};

// Words<T>: the bits of a pack. Unsigned, for shifts without the sign (there is no other kind below AVX-512).
template <class T>
using Words = typename MathConstants<T>::Words;

template <class T>
[[gnu::always_inline]] inline Words<T> to_bits(Pack<T> x) {
    return (Words<T>)x;
}
template <class T>
[[gnu::always_inline]] inline Pack<T> from_bits(Words<T> w) {
    return (Pack<T>)w;
}

template <class T>
inline constexpr typename MathConstants<T>::Word sign_bit = ~(~typename MathConstants<T>::Word{0} >> 1);
template <class T>
inline constexpr typename MathConstants<T>::Word bits_of_one =
    MathConstants<T>::exponent_bias << MathConstants<T>::mantissa_bits;
template <class T>
inline constexpr T infinity = static_cast<T>(__builtin_inf());
template <class T>
inline constexpr T not_a_number = static_cast<T>(__builtin_nan(""));

// c[0] + c[1]·x + c[2]·x² + ... by Horner's rule in x² for the even and the odd terms: half the latency of the plain
// rule for one more product, and the long functions are bound by latency.
template <class T, int n>
[[gnu::always_inline]] inline Pack<T> polynomial(const T (&c)[n], Pack<T> x) {
    const Pack<T> x2 = x * x;
    Pack<T> first = broadcast<T>(c[n - 1]);
    Pack<T> second = broadcast<T>(c[n - 2]);
    for (int i = n - 3; i >= 0; i -= 2) {
        first = first * x2 + c[i];
        if (i > 0) second = second * x2 + c[i - 1];
    }
    // `first` ends at c[0] if n is odd, at c[1] if n is even.
    return n % 2 == 1 ? first + x * second : second + x * first;
}

// x, but at least (at most) a; NaN stays NaN. The bound goes through in_register because g++ 12 makes a comparison and
// a choice one instruction (minimum, maximum) between variables only, which is worth a fifth of the time of exp.
template <class T>
[[gnu::always_inline]] inline Pack<T> at_least(Pack<T> x, T a) {
    const Pack<T> least = in_register<T>(broadcast<T>(a));
    return x < least ? least : x;
}
template <class T>
[[gnu::always_inline]] inline Pack<T> at_most(Pack<T> x, T a) {
    const Pack<T> most = in_register<T>(broadcast<T>(a));
    return x > most ? most : x;
}

// The leading half of the significand: the product of two such numbers is exact.
template <class T>
[[gnu::always_inline]] inline Pack<T> upper_half(Pack<T> x) {
    return from_bits<T>(to_bits<T>(x) & MathConstants<T>::upper_half);
}

template <class T>
[[gnu::always_inline]] inline Pack<T> abs(Pack<T> x) {
    return from_bits<T>(to_bits<T>(x) & ~sign_bit<T>);
}

template <class T>
[[gnu::always_inline]] inline Pack<T> sqrt(Pack<T> x) {
    T a[pack_size<T>];
    store<T>(a, x);
    for (index i = 0; i < pack_size<T>; ++i) a[i] = static_cast<T>(__builtin_sqrt(a[i]));  // one vector instruction
    return load<T>(a);
}

// 1/√x for x >= 0. From an estimate y of 14 bits, with e = 1 − xy², it is y(1 − e)^(−1/2) = y(1 + e/2 + 3e²/8 + ...):
// to 2^-54 with three terms behind the 1, to 2^-27 with one.
template <class T>
[[gnu::always_inline]] inline Pack<T> refined_inverse_sqrt(Pack<T> x, Pack<T> y) {
    const Pack<T> e = 1 - (x * y) * y;
    if constexpr (sizeof(T) == sizeof(float)) return y + (y * e) * T(0.5);
    else return y + (y * e) * (T(0.5) + e * (T(0.375) + e * T(0.3125)));
}
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
[[gnu::always_inline]] inline Pack<double> estimated_inverse_sqrt(Pack<double> x) {
    return (Pack<double>)_mm512_maskz_rsqrt14_pd(0xff, (__m512d)x);
}
[[gnu::always_inline]] inline Pack<float> estimated_inverse_sqrt(Pack<float> x) {
    return (Pack<float>)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)x);
}
// Where x is neither 0 nor infinite.
template <class T>
[[gnu::always_inline]] inline Pack<T> inverse_sqrt_of_normal(Pack<T> x) {
    return refined_inverse_sqrt<T>(x, estimated_inverse_sqrt(x));
}
template <class T>
[[gnu::always_inline]] inline Pack<T> inverse_sqrt(Pack<T> x) {
    const Pack<T> estimate = estimated_inverse_sqrt(x), y = refined_inverse_sqrt<T>(x, estimate);
    return ((x == T(0)) | (x == infinity<T>)) ? estimate : y;
}
#else
template <class T>
[[gnu::always_inline]] inline Pack<T> inverse_sqrt(Pack<T> x) {
    return 1 / sqrt<T>(x);
}
template <class T>
[[gnu::always_inline]] inline Pack<T> inverse_sqrt_of_normal(Pack<T> x) {
    return inverse_sqrt<T>(x);
}
#endif

// ---------------------------------------------------------------------------------------------- exponential kernel

// x = n·ln2 + r with n an integer and |r| <= ln2/2, so that e^x = 2^n·e^r.
template <class T>
struct ExponentAndRest {
    Pack<T> rounded;  // n + rounder
    Pack<T> rest;     // r
};
template <class T>
[[gnu::always_inline]] inline ExponentAndRest<T> reduce_by_ln2(Pack<T> x) {
    using C = MathConstants<T>;
    const Pack<T> rounded = x * C::log2_e + C::rounder;
    const Pack<T> n = rounded - C::rounder;
    return {rounded, (x - n * C::ln2_high) - n * C::ln2_low};
}

// 2^n for the integer n in the low bits, -bias < n <= bias.
template <class T>
[[gnu::always_inline]] inline Pack<T> power_of_two(Words<T> n) {
    return from_bits<T>((n << MathConstants<T>::mantissa_bits) + bits_of_one<T>);
}

template <class T>
[[gnu::always_inline]] inline Pack<T> exp_of_rest(Pack<T> r) {
    return 1 + r * (1 + r * polynomial<T>(MathConstants<T>::expm1_tail, r));
}
// e^r - 1, in relative precision also near 0.
template <class T>
[[gnu::always_inline]] inline Pack<T> expm1_of_rest(Pack<T> r) {
    return r + (r * r) * polynomial<T>(MathConstants<T>::expm1_tail, r);
}

// m·2^n, rounded once: 2^n itself may be out of range where the product is not.
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
// The forms without a mask warn of an uninitialised variable in g++ 12's own header; a full mask costs nothing.
[[gnu::always_inline]] inline Pack<double> scale_by_instruction(Pack<double> m, Pack<double> n) {
    return (Pack<double>)_mm512_maskz_scalef_pd(0xff, (__m512d)m, (__m512d)n);
}
[[gnu::always_inline]] inline Pack<float> scale_by_instruction(Pack<float> m, Pack<float> n) {
    return (Pack<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)m, (__m512)n);
}
template <class T>
[[gnu::always_inline]] inline Pack<T> scale(Pack<T> m, Pack<T> rounded) {
    return scale_by_instruction(m, rounded - MathConstants<T>::rounder);
}
template <class T>
[[gnu::always_inline]] inline Pack<T> scale_down(Pack<T> m, Pack<T> rounded) {
    return scale<T>(m, rounded);
}
#else
template <class T>
[[gnu::always_inline]] inline Pack<T> scale(Pack<T> m, Pack<T> rounded) {
    const Words<T> n = to_bits<T>(rounded);
    const Words<T> half = n >> 1;
    return m * power_of_two<T>(half) * power_of_two<T>(n - half);
}
// The same for n <= 0, where one of the two factors can be constant.
template <class T>
[[gnu::always_inline]] inline Pack<T> scale_down(Pack<T> m, Pack<T> rounded) {
    constexpr int offset = 2 * MathConstants<T>::mantissa_bits;
    constexpr typename MathConstants<T>::Word one = 1;
    constexpr T undo = T{1} / static_cast<T>(one << offset / 2) / static_cast<T>(one << offset / 2);
    return m * power_of_two<T>(to_bits<T>(rounded) + offset) * undo;
}
#endif

template <class T>
[[gnu::always_inline]] inline Pack<T> exp(Pack<T> x) {
    using C = MathConstants<T>;
    const ExponentAndRest<T> e = reduce_by_ln2<T>(at_most<T>(at_least<T>(x, C::exp_least), C::exp_most));
    return scale<T>(exp_of_rest<T>(e.rest), e.rounded);
}

// e^x for x <= 0 (NaN passes): cheaper than exp where the processor has no instruction for m·2^n.
template <class T>
[[gnu::always_inline]] inline Pack<T> exp_nonpositive(Pack<T> x) {
    using C = MathConstants<T>;
    const ExponentAndRest<T> e = reduce_by_ln2<T>(at_least<T>(x, C::exp_least));
    return scale_down<T>(exp_of_rest<T>(e.rest), e.rounded);
}

// tanh|x| = (1 - e^y)/(1 + e^y) with y = -2|x|, and e^y = 2^n + 2^n·(e^r - 1): neither 1 - 2^n nor the small product
// loses anything, so the quotient keeps its relative precision down to x = 0.
template <class T>
[[gnu::always_inline]] inline Pack<T> tanh(Pack<T> x) {
    using C = MathConstants<T>;
    const ExponentAndRest<T> e = reduce_by_ln2<T>(-2 * at_most<T>(abs<T>(x), C::tanh_most));
    const Pack<T> two_n = power_of_two<T>(to_bits<T>(e.rounded));
    const Pack<T> q = expm1_of_rest<T>(e.rest);
    const Pack<T> quotient = ((1 - two_n) - two_n * q) / ((1 + two_n) + two_n * q);
    return from_bits<T>(to_bits<T>(quotient) | (to_bits<T>(x) & sign_bit<T>));
}

// 1/(1 + e^-x), written with e^-|x| so that the small values keep their relative precision.
template <class T>
[[gnu::always_inline]] inline Pack<T> sigmoid(Pack<T> x) {
    const Pack<T> e = exp_nonpositive<T>(-abs<T>(x));
    return (x < 0 ? e : broadcast<T>(1)) / (1 + e);
}

// ------------------------------------------------------------------------------------------------ logarithm kernel

// x = m·2^k with 1/√2 <= m < √2, for positive normal x.
template <class T>
struct ExponentAndMantissa {
    Words<T> biased;  // k + bias
    Pack<T> mantissa;
};
template <class T>
[[gnu::always_inline]] inline ExponentAndMantissa<T> split_exponent(Pack<T> x) {
    using C = MathConstants<T>;
    constexpr typename C::Word one = 1;
    const Words<T> shifted = to_bits<T>(x) + (bits_of_one<T> - C::sqrt_half);
    return {shifted >> C::mantissa_bits, from_bits<T>((shifted & ((one << C::mantissa_bits) - 1)) + C::sqrt_half)};
}

// k as a number: placed in the mantissa of 2^52 (2^23), for want of an instruction that converts 64-bit integers.
template <class T>
[[gnu::always_inline]] inline Pack<T> exponent_as_number(Words<T> biased) {
    using C = MathConstants<T>;
    constexpr typename C::Word power = C::exponent_bias + C::mantissa_bits;
    constexpr typename C::Word one = 1;
    constexpr T offset = static_cast<T>((one << C::mantissa_bits) + C::exponent_bias);
    return from_bits<T>(biased | (power << C::mantissa_bits)) - offset;
}

// The same for any positive x: subnormal ones are first multiplied into the normal range.
template <class T>
struct NumberAndMantissa {
    Pack<T> exponent;
    Pack<T> mantissa;
};
template <class T>
[[gnu::always_inline]] inline NumberAndMantissa<T> split_positive(Pack<T> x) {
    using C = MathConstants<T>;
    constexpr int lift = C::mantissa_bits + 1;
    constexpr T two_lift = static_cast<T>(typename C::Word{1} << lift);
    const Integers<T> subnormal = x < C::smallest_normal;
    const ExponentAndMantissa<T> s = split_exponent<T>(subnormal ? x * two_lift : x);
    return {exponent_as_number<T>(s.biased) - (subnormal ? broadcast<T>(lift) : Pack<T>{}), s.mantissa};
}

// high + (log(1+f) + low) for 1/√2 <= 1+f <= √2 and |high| either 0 or larger than the rest.
// With s = f/(2+f), log(1+f) = 2·atanh(s) = 2s + s·R(s²). As 2s = f - f²/2 + s·f²/2, the rounding of s enters only in
// second order when f itself comes first: f - (f²/2 - s·(f²/2 + R)).
template <class T>
[[gnu::always_inline]] inline Pack<T> log1p_reduced(Pack<T> f, Pack<T> high, Pack<T> low) {
    const Pack<T> s = f / (2 + f);
    const Pack<T> s2 = s * s;
    const Pack<T> r = s2 * polynomial<T>(MathConstants<T>::atanh_tail, s2);
    const Pack<T> half_square = (f / 2) * f;
    return high + (f - (half_square - (s * (half_square + r) + low)));
}

// What a logarithm is outside (0, ∞): -∞ at 0, ∞ at ∞, otherwise NaN. `value` is taken inside.
template <class T>
[[gnu::always_inline]] inline Pack<T> with_limits_of_log(Pack<T> x, Pack<T> value, T at_zero, T at_infinity) {
    const Pack<T> outside = x == 0 ? broadcast<T>(at_zero) : broadcast<T>(not_a_number<T>);
    return x > 0 ? (x < infinity<T> ? value : broadcast<T>(at_infinity)) : outside;
}

template <class T>
[[gnu::always_inline]] inline Pack<T> log(Pack<T> x) {
    using C = MathConstants<T>;
    const NumberAndMantissa<T> s = split_positive<T>(x);
    const Pack<T> value = log1p_reduced<T>(s.mantissa - 1, s.exponent * C::ln2_high, s.exponent * C::ln2_low);
    return with_limits_of_log<T>(x, value, -infinity<T>, infinity<T>);
}

// The same for positive, finite, normal x.
template <class T>
[[gnu::always_inline]] inline Pack<T> log_of_normal(Pack<T> x) {
    using C = MathConstants<T>;
    const ExponentAndMantissa<T> s = split_exponent<T>(x);
    const Pack<T> exponent = exponent_as_number<T>(s.biased);
    return log1p_reduced<T>(s.mantissa - 1, exponent * C::ln2_high, exponent * C::ln2_low);
}

// 1 + x = u + c exactly, u = m·2^k: log1p(x) = k·ln2 + log(1 + f), f = (m - 1) + c·2^-k. For k = 0 that f is x itself.
template <class T>
[[gnu::always_inline]] inline Pack<T> log1p(Pack<T> x) {
    using C = MathConstants<T>;
    const Pack<T> one = broadcast<T>(1);
    const Pack<T> u = 1 + x;
    const Pack<T> c = minimum<T>(x, one) - (u - maximum<T>(x, one));
    const ExponentAndMantissa<T> s = split_exponent<T>(u);
    // 2^(1-k), since 2^-k is out of range for the largest k.
    const Pack<T> twice_inverse = from_bits<T>((2 * C::exponent_bias + 1 - s.biased) << C::mantissa_bits);
    const Pack<T> f = (s.mantissa - 1) + (c / 2) * twice_inverse;
    const Pack<T> k = exponent_as_number<T>(s.biased);
    const Pack<T> value =
        with_limits_of_log<T>(u, log1p_reduced<T>(f, k * C::ln2_high, k * C::ln2_low), -infinity<T>, infinity<T>);
    return u == 1 ? x : value;  // keeps the sign of a zero, and all of a subnormal x
}

// log(1 + e^x) = max(x, 0) + log(1 + e), e = e^-|x|; where 1 + e > √2, log(1 + e) = ln2 + log(1 + (e-1)/2).
template <class T>
[[gnu::always_inline]] inline Pack<T> softplus(Pack<T> x) {
    using C = MathConstants<T>;
    const Pack<T> zero{};
    const Pack<T> e = exp_nonpositive<T>(-abs<T>(x));
    const Integers<T> halve = e > static_cast<T>(0x1.a827999fcef32p-2);  // √2 - 1
    return log1p_reduced<T>(halve ? (e - 1) / 2 : e, (x > 0 ? x : zero) + (halve ? broadcast<T>(C::ln2_high) : zero),
                            halve ? broadcast<T>(C::ln2_low) : zero);
}

// log cosh x = log(1 + (cosh x - 1)) near 0, where cosh x <= √2 (relative precision: cosh x - 1 = x²/2 + x⁴·C(x²)),
// and |x| - ln2 + log(1 + e^-2|x|) beyond. Both are the same kernel, so no branch and a single division.
template <class T>
[[gnu::always_inline]] inline Pack<T> log_cosh(Pack<T> x) {
    using C = MathConstants<T>;
    const Pack<T> magnitude = abs<T>(x);
    const Integers<T> near = magnitude < static_cast<T>(0x1.c34366179d427p-1);  // arcosh √2
    const Pack<T> x2 = x * x;
    const Pack<T> cosh_minus_1 = x2 / 2 + (x2 * x2) * polynomial<T>(C::cosh_tail, x2);
    return log1p_reduced<T>(near ? cosh_minus_1 : exp_nonpositive<T>(-2 * magnitude),
                            near ? Pack<T>{} : magnitude - C::ln2_high, near ? Pack<T>{} : broadcast<T>(-C::ln2_low));
}

// ------------------------------------------------------------------------------------------------- sine and cosine

template <class T>
struct SineAndCosine {
    Pack<T> sine, cosine;
};

// Of 2πx, |x| <= 2^49 (double) or 2^20 (float). 4x = q + f exactly, q an integer and |f| <= 1/2: the sine and the
// cosine of πf/2 change places where q is odd, and their signs follow from q modulo 4. The relative precision holds
// near the zeros too, since f is exact.
template <class T>
[[gnu::always_inline]] inline SineAndCosine<T> sine_and_cosine_of_turns(Pack<T> x) {
    using C = MathConstants<T>;
    constexpr int top = 8 * static_cast<int>(sizeof(T)) - 1;
    const Pack<T> rounded = 4 * x + C::rounder;
    const Pack<T> f = 4 * x - (rounded - C::rounder);
    const Pack<T> square = f * f;
    const Pack<T> sine = f * polynomial<T>(C::sine_of_quarters, square);
    const Pack<T> cosine = 1 + square * polynomial<T>(C::cosine_of_quarters, square);
    const Words<T> q = to_bits<T>(rounded);
    const Integers<T> odd = (Integers<T>)(q << top) < 0;
    return {from_bits<T>(to_bits<T>(odd ? cosine : sine) ^ ((q << (top - 1)) & sign_bit<T>)),
            from_bits<T>(to_bits<T>(odd ? sine : cosine) ^ (((q + 1) << (top - 1)) & sign_bit<T>))};
}

// ----------------------------------------------------------------------------------------------------------- power

// A number in two parts, high + low, the high one an upper_half.
template <class T>
struct TwoParts {
    Pack<T> high;
    Pack<T> low;
};

// log x to about u/50 in absolute terms, and in relative terms to the same near x = 1. The quotient s is taken in two
// parts, the second from the exact remainder of the division; the terms from s³ on make do with one.
template <class T>
[[gnu::always_inline]] inline TwoParts<T> log_in_two_parts(Pack<T> x) {
    using C = MathConstants<T>;
    const NumberAndMantissa<T> split = split_positive<T>(x);
    const Pack<T> f = split.mantissa - 1;
    const Pack<T> denominator = 2 + f;
    const Pack<T> denominator_high = upper_half<T>(denominator);
    const Pack<T> denominator_low = f - (denominator_high - 2);
    const Pack<T> inverse = 1 / denominator;
    const Pack<T> s_high = upper_half<T>(f * inverse);
    const Pack<T> s_low = ((f - s_high * denominator_high) - s_high * denominator_low) * inverse;
    const Pack<T> s = s_high + s_low;
    const Pack<T> s2 = s * s;
    const Pack<T> tail = s * (s2 * polynomial<T>(C::atanh_tail, s2));

    const Pack<T> exponent_part = split.exponent * C::ln2_high;
    const Pack<T> sum = exponent_part + 2 * s_high;
    const Pack<T> sum_error = 2 * s_high - (sum - exponent_part);
    const Pack<T> low = sum_error + (2 * s_low + (tail + split.exponent * C::ln2_low));
    const Pack<T> high = upper_half<T>(sum + low);
    return {high, (sum - high) + low};
}

// e^(p·log x), the product in two parts: the high one exact, the low one added to the rest of the reduction.
template <class T>
[[gnu::always_inline]] inline Pack<T> power_by_logarithm(Pack<T> x, T p) {
    using C = MathConstants<T>;
    const TwoParts<T> l = log_in_two_parts<T>(x);
    const Pack<T> p_all = broadcast<T>(p);
    const Pack<T> p_high = upper_half<T>(p_all);
    const Pack<T> high = p_high * l.high;
    Pack<T> low = (p_all - p_high) * l.high + p_all * l.low;
    low = abs<T>(high) < C::exp_most ? low : Pack<T>{};  // beyond, the result is 0 or ∞ whatever the low part
    const ExponentAndRest<T> e = reduce_by_ln2<T>(at_most<T>(at_least<T>(high, C::exp_least), C::exp_most));
    const Pack<T> value = scale<T>(exp_of_rest<T>(e.rest + low), e.rounded);
    return with_limits_of_log<T>(x, value, p > 0 ? T{0} : infinity<T>, p > 0 ? infinity<T> : T{0});
}

// x^p for x >= 0 and finite p: within 4 ulp for |p| <= 150, beyond that within |p|/40 ulp. Unlike in C, NaN^0 is NaN: a
// missing value stays missing.
template <class T>
[[gnu::always_inline]] inline Pack<T> power(Pack<T> x, T p) {
    if (p == T(0)) return x == x ? broadcast<T>(1) : x;
    if (p == T(0.5)) return sqrt<T>(x + Pack<T>{});  // -0 + 0 is 0, whose root has no sign
    if (p == T(1)) return x;
    if (p == T(1.5)) return x * sqrt<T>(x);
    if (p == T(2)) return x * x;
    if (p == T(3)) return x * x * x;
    return power_by_logarithm<T>(x, p);
}

SCOREMATCH_END_LEVEL
