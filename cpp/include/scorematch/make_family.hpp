// A family by its name. The list is made by the build, from the files in cpp/families.
#pragma once

#include <cstring>

#include "scorematch/family.hpp"

SCOREMATCH_BEGIN_LEVEL

#define SCOREMATCH_FAMILY(family) \
    template <class T>            \
    Family<T>* make_##family(const FamilySpec&);
#include "families.inc"
#undef SCOREMATCH_FAMILY

// The caller deletes it; null if the family, or the variant of it, does not exist.
template <class T>
inline Family<T>* make_family(const FamilySpec& spec) {
#define SCOREMATCH_FAMILY(family) \
    if (std::strcmp(spec.name, #family) == 0) return make_##family<T>(spec);
#include "families.inc"
#undef SCOREMATCH_FAMILY
    return nullptr;
}

SCOREMATCH_END_LEVEL
