#pragma once

#include <pybind11/pybind11.h>

namespace scorematch::bindings {

void register_specs(pybind11::module_& module);
void register_evaluation(pybind11::module_& module);
void register_minibatches(pybind11::module_& module);
void register_solvers(pybind11::module_& module);
void register_samplers(pybind11::module_& module);
void register_rbm_gibbs(pybind11::module_& module);
void register_stein(pybind11::module_& module);
void register_domains(pybind11::module_& module);
void register_chains(pybind11::module_& module);
void register_machine(pybind11::module_& module);

}  // namespace scorematch::bindings
