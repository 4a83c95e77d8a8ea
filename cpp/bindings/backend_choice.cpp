#include "backend_choice.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "scorematch/levels.hpp"

namespace scorematch::bindings {
namespace {

std::atomic<const Backend*> chosen{nullptr};

std::string list_of_levels(bool supported_only) {
    Level levels[max_levels];
    const int n = all_levels(levels);
    std::string list;
    for (int i = 0; i < n; ++i)
        if (levels[i].supported || !supported_only)
            list += (list.empty() ? "" : ", ") + std::string(levels[i].backend->level);
    return list;
}

}  // namespace

const Backend& backend() noexcept { return *chosen.load(std::memory_order_relaxed); }

template <>
const Functions<float>& functions<float>() noexcept {
    return backend().single_precision;
}
template <>
const Functions<double>& functions<double>() noexcept {
    return backend().double_precision;
}

std::vector<std::string> supported_levels() {
    Level levels[max_levels];
    const int n = all_levels(levels);
    std::vector<std::string> names;
    for (int i = 0; i < n; ++i)
        if (levels[i].supported) names.emplace_back(levels[i].backend->level);
    return names;
}

void choose_level(const std::string& name) {
    Level levels[max_levels];
    const int n = all_levels(levels);
    for (int i = 0; i < n; ++i)
        if (name == levels[i].backend->level) {
            if (!levels[i].supported)
                throw std::invalid_argument("SCOREMATCH_ISA=" + name + ": this processor lacks that level; it has " +
                                            list_of_levels(true));
            chosen = levels[i].backend;
            return;
        }
    throw std::invalid_argument("SCOREMATCH_ISA=" + name + " is not a level of this build; levels are " +
                                list_of_levels(false));
}

void choose_level_at_import() {
    const char* const forced = std::getenv("SCOREMATCH_ISA");
    choose_level(forced != nullptr && *forced != '\0' ? std::string(forced) : supported_levels().back());
}

}  // namespace scorematch::bindings
