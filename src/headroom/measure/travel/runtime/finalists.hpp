// The fastest few implementations of a benchmark, timed again with care and by turns.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "attempts.hpp"

namespace travel {

// The tensors of one case and what their result has to be; they live as long as a program that reads them.
struct Prepared {
  std::unique_ptr<Operands> operands;
  std::unique_ptr<Reference> reference;
};

// A program that was built and checked, to be timed again. It goes before what it reads.
struct Finalist {
  std::shared_ptr<const Prepared> prepared;
  Implementation implementation;
  std::shared_ptr<Program> program;
  Check check;
  double us;
};

class Finalists {
 public:
  Finalists(const Bench& bench, Attempts& attempts) : bench_(bench), attempts_(attempts) {}

  void add(Finalist one);
  // Of all that were ever added; infinity before.
  double best_us() const { return best_us_; }
  // Whatever is slower than the fastest few is let go, and its memory with it.
  void drop_slow();
  // A row each, from readings with the L2 cache warm or cold; none is begun once the time is over.
  void time(const std::string& l2, const std::function<bool()>& is_over);

 private:
  std::vector<Finalist*> turns(const std::string& l2);
  Samples calmest(Program& program, const std::string& l2) const;

  const Bench& bench_;
  Attempts& attempts_;
  std::vector<Finalist> all_;
  double best_us_ = std::numeric_limits<double>::infinity();
};

}  // namespace travel
