#include <pybind11/pybind11.h>

#include "backend_choice.hpp"
#include "register.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "The compiled core of scorematch.";
    scorematch::bindings::choose_level_at_import();
    scorematch::bindings::register_specs(module);
    scorematch::bindings::register_evaluation(module);
    scorematch::bindings::register_minibatches(module);
    scorematch::bindings::register_solvers(module);
    scorematch::bindings::register_samplers(module);
    scorematch::bindings::register_rbm_gibbs(module);
    scorematch::bindings::register_stein(module);
    scorematch::bindings::register_domains(module);
    scorematch::bindings::register_chains(module);
    scorematch::bindings::register_machine(module);
}
