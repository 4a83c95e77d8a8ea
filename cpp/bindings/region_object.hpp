// A domain with a boundary as a Python object.
#pragma once

#include <memory>

#include "scorematch/domains.hpp"

namespace scorematch::bindings {

struct RegionObject {
    std::shared_ptr<const Region> region;
    bool nonnegative;
};

}  // namespace scorematch::bindings
