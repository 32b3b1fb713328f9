// The process that measures: benchmark after benchmark, from one on.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "layer.hpp"

namespace travel {

// Measures the benchmarks at these places in their list and tells everything through a pipe. The first of them may
// have rows from a process that died over it.
void work(int pipe, int gpu, const std::vector<std::size_t>& places, const std::map<std::string, Row>& known);

}  // namespace travel
