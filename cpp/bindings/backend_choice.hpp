// The level in use: the highest that the processor has, unless SCOREMATCH_ISA says otherwise.
#pragma once

#include <string>
#include <vector>

#include "scorematch/backend.hpp"

namespace scorematch::bindings {

const Backend& backend() noexcept;
void choose_level(const std::string& name);  // throws std::invalid_argument that names the levels
void choose_level_at_import();
std::vector<std::string> supported_levels();

template <class T>
const Functions<T>& functions() noexcept;

}  // namespace scorematch::bindings
