// Whether an output is right: some of its elements against the definition, all that are looked at against NaN.
#pragma once

#include <vector>

#include "operands.hpp"

namespace travel {

struct Check {
  double relative_error;
  double tolerance;
  bool passed() const { return relative_error <= tolerance; }  // NaN never passes
};

class Reference {
 public:
  Reference(const Operands& operands, const std::string& dtype);
  // Compares what the result holds now.
  Check check() const;

 private:
  const Operands& operands_;
  double tolerance_;
  std::vector<std::int64_t> places_;  // offsets of elements in the result's memory
  std::vector<double> expected_;
};

}  // namespace travel
