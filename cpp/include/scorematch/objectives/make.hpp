// From the description of an objective to the objective.
#pragma once

#include "scorematch/objectives/denoising.hpp"
#include "scorematch/objectives/exact.hpp"
#include "scorematch/objectives/finite_difference.hpp"
#include "scorematch/objectives/sliced.hpp"

SCOREMATCH_BEGIN_LEVEL

// The caller deletes it. It refers to the density and the field.
template <class T>
Objective<T>* make_objective(const ObjectiveSpec& spec, const Density<T>& density, const Field<T>* field,
                             index n_features) {
    switch (spec.kind) {
        case ObjectiveKind::exact: break;
        case ObjectiveKind::sliced: return new SlicedObjective<T>(spec, density, field, n_features);
        case ObjectiveKind::denoising: return new DenoisingObjective<T>(spec, density, n_features);
        case ObjectiveKind::finite_difference: return new FiniteDifferenceObjective<T>(spec, density, n_features);
    }
    return new ExactObjective<T>(density, field, n_features);
}

SCOREMATCH_END_LEVEL
