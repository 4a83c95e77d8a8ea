// What every part of the core shares, whatever the instruction-set level: plain data and no code, so that it may cross
// from code of one level to code of another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace scorematch {

// Sizes and positions. Signed, so that differences and reversed strides are ordinary numbers.
using index = std::ptrdiff_t;

// Samples in rows, any strides (counted in elements). Where there is an origin, the model sees x − origin.
template <class T>
struct Samples {
    const T* data = nullptr;
    index n_samples = 0;
    index n_features = 0;
    index row_stride = 0;
    index column_stride = 0;
    const double* origin = nullptr;
};

// Which family. `variant` tells apart what changes the formulas (a covariance type, a nonlinearity); `constants` are
// parameters that are given and not estimated.
struct FamilySpec {
    const char* name = nullptr;
    const char* variant = "";
    index n_features = 0;
    index n_components = 0;
    const double* constants = nullptr;
    index n_constants = 0;
};

// One block of θ: its name, its shape, and how it is stored.
//   dense      every entry, row by row
//   symmetric  a stack of square matrices of which the upper triangle is kept, row by row
//   lower      a stack of square matrices of which the lower triangle is kept, row by row
enum class Packing { dense, symmetric, lower };

struct LayoutVisitor {
    virtual void block(const char* name, Packing packing, const index* shape, int n_dimensions) = 0;

  protected:
    ~LayoutVisitor() = default;
};

// Which field: the domain and the weight, as the objective sees them.
enum class FieldKind { euclidean, coordinate, sphere, tabulated };
enum class WeightFunction { power, min_power, log1p, mcp };

// What a field is at each sample, worked out beforehand: rows of samples, `stride` apart.
struct FieldTable {
    const double* a = nullptr;  // a row for each feature, or one for all of them
    const double* b = nullptr;  // a row for each feature
    index a_rows = 0;
    index stride = 0;
};

// Which objective (objectives/). Those that need random vectors, `n_projections` for each row (of denoising, for each
// noise scale), take them as a function of the seed and the number of the row: row `first_row` + i for sample i, or
// rows[i] where the samples are a batch.
enum class ObjectiveKind { exact, sliced, denoising, finite_difference };
enum class Projection { rademacher, gaussian, sphere };
struct ObjectiveSpec {
    ObjectiveKind kind = ObjectiveKind::exact;
    Projection projection = Projection::gaussian;
    index n_projections = 1;
    bool variance_reduction = true;
    double step = 0;                       // of finite differences
    const double* noise_scales = nullptr;  // of denoising
    index n_noise_scales = 0;
    std::uint64_t seed = 0;
    index first_row = 0;
    const index* rows = nullptr;
};

struct FieldSpec {
    FieldKind kind = FieldKind::euclidean;
    WeightFunction weight = WeightFunction::power;
    double exponent = 1.0;         // γ of MCP
    const double* caps = nullptr;  // one for each coordinate, where the weight is capped; λ of MCP
    FieldTable table = {};
    double power = 1.0;  // the factor of ½ψᵀAψ in ρ: see Field::power
    ObjectiveSpec objective = {};
};

// Per-sample results, C-contiguous; what is null is not wanted.
template <class T>
struct Outputs {
    T* score = nullptr;             // (n_samples, n_features)
    T* hessian_diagonal = nullptr;  // (n_samples, n_features)
    T* hessian_trace = nullptr;     // (n_samples,)
    T* norm_term = nullptr;         // (n_samples,)
    T* hessian_term = nullptr;      // (n_samples,)
    T* log_density = nullptr;       // (n_samples,)
};

}  // namespace scorematch
