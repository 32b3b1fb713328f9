// What is tried of one benchmark, and the rows that come of it: a time, or why there is none.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "layer.hpp"
#include "reference.hpp"

namespace travel {

class Attempts {
 public:
  // known are rows from a process that died over this benchmark.
  Attempts(const Bench& bench, const std::map<std::string, Row>& known) : bench_(bench), known_(known) {}

  // Whether act went well; else there is a row that says why not.
  bool attempt(const Implementation& implementation, const std::string& l2, const std::function<void()>& act);
  // A row with what the samples are worth; the median where there is one.
  std::optional<double> told(const Implementation& implementation, const std::string& l2, const Samples& samples,
                             const Program& program, const Check& checked);
  // A row without a time.
  void fail(const Implementation& implementation, const std::string& l2, const std::string& status,
            const std::string& reason);
  // Whether an earlier process says so.
  bool has_failed(const Implementation& implementation, const std::string& l2) const;
  bool has_told_nothing() const { return told_ == 0 && known_.empty(); }

 private:
  void tell(const Row& row);

  const Bench& bench_;
  const std::map<std::string, Row>& known_;
  int told_ = 0;
};

}  // namespace travel
