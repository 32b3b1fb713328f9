#include "layer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "errors.hpp"
#include "reference.hpp"
#include "rows.hpp"
#include "verdict.hpp"

namespace travel {
namespace {

// The figures of headroom's own loop (headroom/measure/layer.py and finalists.py).
constexpr double kLayerS = 60.0;      // of one chain's time
constexpr double kTryingShare = 0.8;  // of it, for trying; the rest is for timing the fastest again
constexpr double kHopeless = 8.0;     // times slower than the fastest: not worth ten samples
constexpr std::size_t kFinalists = 4;
constexpr std::size_t kContenders = 2;  // of the finalists, timed in the other state of the cache
constexpr double kNearBest = 1.15;
constexpr int kAttempts = 3;  // at a reading that nothing disturbed

double calm_of(const std::string& l2) { return l2 == "warm" ? 0.02 : 0.10; }

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

class Loop {
 public:
  Loop(const Benchmark& benchmark, const Bench& bench, const std::map<std::string, Row>& known)
      : benchmark_(benchmark), bench_(bench), known_(known) {}

  void run() {
    for (const Case& described : benchmark_.cases) try_case(described);
    for (const std::string& l2 : {std::string("warm"), std::string("cold")}) time_finalists(l2);
    if (told_ == 0 && known_.empty())
      fail({"bench", "operands", "", "fp32"}, "warm", "unsupported", "no library here runs it");
  }

 private:
  void try_case(const Case& described) {
    auto prepared = std::make_shared<Prepared>();
    const bool is_ready = attempt({"bench", "operands", described.layout, described.math}, "warm", [&] {
      prepared->operands = std::make_unique<Operands>(described);
      prepared->reference = std::make_unique<Reference>(*prepared->operands, benchmark_.dtype);
    });
    if (!is_ready) return;
    for (const Library& library : libraries()) {
      const auto& wanted = described.libraries;
      if (std::find(wanted.begin(), wanted.end(), library.name) == wanted.end()) continue;
      std::vector<Candidate> candidates;
      attempt({library.backend, "candidates", "", "fp32"}, "warm",
              [&] { candidates = library.candidates(bench_.device, benchmark_.dtype, *prepared->operands); });
      for (const Candidate& candidate : candidates) try_one(candidate, prepared);
    }
    drop_slow();
  }

  void try_one(const Candidate& candidate, const std::shared_ptr<const Prepared>& prepared) {
    const std::string& name = candidate.implementation.name;
    if (has_failed(candidate.implementation, "warm")) return;
    if (!seen_.insert(key_of(candidate.implementation, "warm")).second) return;
    if (spent_s() > kTryingShare * kLayerS) {
      if (!std::exchange(out_of_time_, true)) {
        const std::string left = name + " and what follows it was not tried";
        fail({"bench", "rest", "", "fp32"}, "warm", "timeout", "the layer's 60 s were over: " + left);
      }
      return;
    }
    attempt(candidate.implementation, "warm", [&] {
      std::shared_ptr<Program> program = candidate.build();
      const Check checked = check(*program, *prepared);
      const Samples samples = bench_.stopwatch.read([&] { program->launch(); }, "warm", false, kHopeless * best_us_);
      const auto median = told(candidate.implementation, "warm", samples, *program, checked);
      if (!median) return;
      best_us_ = std::min(best_us_, *median);
      finalists_.push_back({prepared, candidate.implementation, program, checked, *median});
    });
  }

  // Whether an earlier process says so.
  bool has_failed(const Implementation& implementation, const std::string& l2) const {
    const auto row = known_.find(key_of(implementation, l2));
    return row != known_.end() && !row->second.median_us;
  }

  Check check(Program& program, const Prepared& prepared) const {
    prepared.operands->forget_result();
    program.launch();
    bench_.device.wait();
    const Check found = prepared.reference->check();
    if (!found.passed()) {
      const bool is_number = std::isfinite(found.relative_error);
      throw Failed(is_number ? "its output is wrong by " + json_number(found.relative_error) +
                                   " of the reference; tolerated are " + json_number(found.tolerance)
                             : "its output holds values that are not numbers");
    }
    return found;
  }

  // The fastest few, twice in the state that decides, there and back again, so that a drift of the clock meets all
  // alike.
  void time_finalists(const std::string& l2) {
    std::vector<Finalist*> turns;
    for (Finalist& each : finalists_) turns.push_back(&each);
    if (l2 == "warm") {
      std::vector<Finalist*> back(turns.rbegin(), turns.rend());
      turns.insert(turns.end(), back.begin(), back.end());
    } else if (turns.size() > kContenders) {
      turns.resize(kContenders);
    }
    std::map<Finalist*, Samples> readings;
    for (Finalist* each : turns) {
      if (spent_s() > kLayerS) break;
      if (has_failed(each->implementation, l2)) continue;
      attempt(each->implementation, l2, [&] {
        const Samples samples = calmest(*each->program, l2);
        const auto found = readings.find(each);
        readings[each] = found == readings.end() ? samples : together(found->second, samples);
      });
    }
    for (const auto& [each, samples] : readings) told(each->implementation, l2, samples, *each->program, each->check);
  }

  // The first reading that is calm; if none of a few is, the one that spreads least.
  Samples calmest(Program& program, const std::string& l2) const {
    Samples best;
    double spread = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kAttempts && spread > calm_of(l2); ++i) {
      const Samples samples =
          bench_.stopwatch.read([&] { program.launch(); }, l2, true, std::numeric_limits<double>::infinity());
      const double own = spread_of(samples);
      if (own < spread || i == 0) {
        best = samples;
        spread = own;
      }
    }
    return best;
  }

  // Whatever is slower than the fastest few is let go, and its memory with it.
  void drop_slow() {
    std::sort(finalists_.begin(), finalists_.end(), [](const Finalist& a, const Finalist& b) { return a.us < b.us; });
    if (finalists_.size() > kFinalists) finalists_.resize(kFinalists);
    while (!finalists_.empty() && finalists_.back().us > kNearBest * finalists_.front().us) finalists_.pop_back();
  }

  template <typename Act>
  bool attempt(const Implementation& implementation, const std::string& l2, const Act& act) {
    const std::string uuid = bench_.device.uuid();
    bench_.trying(failed_row(implementation, l2, "failed", "it took the process along", uuid));
    try {
      act();
      return true;
    } catch (const Declined& error) {
      fail(implementation, l2, "unsupported", error.what());
    } catch (const Hopeless& error) {
      fail(implementation, l2, "timeout", error.what());
    } catch (const OutOfMemory& error) {
      JsonObject row = begun(implementation, l2, "oom", error.what(), uuid);
      row.integer("needed_bytes", error.needed_bytes).integer("free_bytes", error.free_bytes);
      tell({key_of(implementation, l2), std::nullopt, row.written()});
    } catch (const std::exception& error) {
      fail(implementation, l2, "failed", error.what());
      // After an error that stays, every call fails, this one included: another process goes on.
      if (cudaDeviceSynchronize() != cudaSuccess) std::_Exit(3);
    }
    return false;
  }

  std::optional<double> told(const Implementation& implementation, const std::string& l2, const Samples& samples,
                             const Program& program, const Check& checked) {
    const Verdict verdict = judged(samples, bench_.nvml.max_sm_clock_mhz());
    JsonObject row = begun(implementation, l2, verdict.status, verdict.reason, bench_.device.uuid());
    row.number("median_us", verdict.median_us).number("iqr_us", verdict.iqr_us).integer("samples", verdict.samples);
    row.number("sm_clock_mhz", verdict.sm_clock_mhz).number("memory_clock_mhz", samples.memory_clock_mhz);
    if (samples.events) row.integer("throttle_mask", *samples.events);
    row.integer("workspace_bytes", program.workspace_bytes());
    row.number("relative_error", checked.relative_error).number("tolerance", checked.tolerance);
    tell({key_of(implementation, l2), verdict.median_us, row.written()});
    return verdict.median_us;
  }

  void fail(const Implementation& implementation, const std::string& l2, const std::string& status,
            const std::string& reason) {
    tell(failed_row(implementation, l2, status, reason, bench_.device.uuid()));
  }

  void tell(const Row& row) {
    ++told_;
    bench_.tell(row);
  }

  double spent_s() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

  const Benchmark& benchmark_;
  const Bench& bench_;
  const std::map<std::string, Row>& known_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::vector<Finalist> finalists_;
  std::set<std::string> seen_;
  double best_us_ = std::numeric_limits<double>::infinity();
  int told_ = 0;
  bool out_of_time_ = false;
};

}  // namespace

void measure(const Benchmark& benchmark, const Bench& bench, const std::map<std::string, Row>& known) {
  Loop(benchmark, bench, known).run();
}

}  // namespace travel
