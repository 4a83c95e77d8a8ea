// The products of small matrices and tiles.
#pragma once

#include "scorematch/multiply.hpp"
#include "scorematch/outer.hpp"
