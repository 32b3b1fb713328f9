// Elementwise functions in fp64, by the names that the tables give them.
#pragma once

#include <string>
#include <vector>

#include "case.hpp"

namespace travel {

bool is_pointwise(const std::string& name);
double pointwise(const Operation& operation, const std::vector<double>& x);

}  // namespace travel
