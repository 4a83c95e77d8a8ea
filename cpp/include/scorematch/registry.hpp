// How a family is found: the file cpp/families/NAME.cpp ends with SCOREMATCH_DEFINE_FAMILY(NAME), and the build makes
// the list of families from the names of those files.
#pragma once

#include "scorematch/family.hpp"
#include "scorematch/level.hpp"

// Before it, the file defines `template <class T> Family<T>* make_NAME(const FamilySpec&)`, which returns a new object,
// or null for a variant that does not exist.
#define SCOREMATCH_DEFINE_FAMILY(name)                       \
    SCOREMATCH_BEGIN_LEVEL                                   \
    template Family<float>* make_##name(const FamilySpec&);  \
    template Family<double>* make_##name(const FamilySpec&); \
    SCOREMATCH_END_LEVEL
