#include "layer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "attempts.hpp"
#include "errors.hpp"
#include "finalists.hpp"

namespace travel {
namespace {

// The figures of headroom's own loop (headroom/measure/layer.py).
constexpr double kLayerS = 60.0;      // of one chain's time
constexpr double kTryingShare = 0.8;  // of it, for trying; the rest is for timing the fastest again
constexpr double kHopeless = 8.0;     // times slower than the fastest: not worth ten samples

class Loop {
 public:
  Loop(const Benchmark& benchmark, const Bench& bench, const std::map<std::string, Row>& known)
      : benchmark_(benchmark), bench_(bench), attempts_(bench, known), finalists_(bench, attempts_) {}

  void run() {
    for (const Case& described : benchmark_.cases) try_case(described);
    for (const char* l2 : {"warm", "cold"}) finalists_.time(l2, [&] { return spent_s() > kLayerS; });
    if (attempts_.has_told_nothing())
      attempts_.fail({"bench", "operands", "", "fp32"}, "warm", "unsupported", "no library here runs it");
  }

 private:
  void try_case(const Case& described) {
    auto prepared = std::make_shared<Prepared>();
    const bool is_ready = attempts_.attempt({"bench", "operands", described.layout, described.math}, "warm", [&] {
      prepared->operands = std::make_unique<Operands>(described);
      prepared->reference = std::make_unique<Reference>(*prepared->operands, benchmark_.dtype);
    });
    if (!is_ready) return;
    for (const Library& library : libraries()) {
      const auto& wanted = described.libraries;
      if (std::find(wanted.begin(), wanted.end(), library.name) == wanted.end()) continue;
      std::vector<Candidate> candidates;
      attempts_.attempt({library.backend, "candidates", "", "fp32"}, "warm",
                        [&] { candidates = library.candidates(bench_.device, benchmark_.dtype, *prepared->operands); });
      for (const Candidate& candidate : candidates) try_one(candidate, prepared);
    }
    finalists_.drop_slow();
  }

  void try_one(const Candidate& candidate, const std::shared_ptr<const Prepared>& prepared) {
    const Implementation& implementation = candidate.implementation;
    if (attempts_.has_failed(implementation, "warm")) return;
    if (!seen_.insert(key_of(implementation, "warm")).second) return;
    if (spent_s() > kTryingShare * kLayerS) {
      leave(implementation);
      return;
    }
    attempts_.attempt(implementation, "warm", [&] {
      std::shared_ptr<Program> program = candidate.build();
      const Check checked = check(*program, *prepared);
      const double hopeless_us = kHopeless * finalists_.best_us();
      const Samples samples = bench_.stopwatch.read([&] { program->launch(); }, "warm", false, hopeless_us);
      const auto median_us = attempts_.told(implementation, "warm", samples, *program, checked);
      if (median_us) finalists_.add({prepared, implementation, program, checked, *median_us});
    });
  }

  // Said once: the row by which an import knows that the layer is to be taken up again.
  void leave(const Implementation& first) {
    if (std::exchange(is_out_of_time_, true)) return;
    const std::string left = first.name + " and what follows it was not tried";
    attempts_.fail({"bench", "rest", "", "fp32"}, "warm", "timeout", "the layer's 60 s were over: " + left);
  }

  Check check(Program& program, const Prepared& prepared) const {
    prepared.operands->forget_result();
    program.launch();
    bench_.device.wait();
    const Check found = prepared.reference->check();
    if (found.passed()) return found;
    if (!std::isfinite(found.relative_error)) throw Failed("its output holds values that are not numbers");
    throw Failed("its output is wrong by " + json_number(found.relative_error) + " of the reference; tolerated are " +
                 json_number(found.tolerance));
  }

  double spent_s() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

  const Benchmark& benchmark_;
  const Bench& bench_;
  Attempts attempts_;
  Finalists finalists_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::set<std::string> seen_;
  bool is_out_of_time_ = false;
};

}  // namespace

void measure(const Benchmark& benchmark, const Bench& bench, const std::map<std::string, Row>& known) {
  Loop(benchmark, bench, known).run();
}

}  // namespace travel
