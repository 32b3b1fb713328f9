#include "finalists.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "verdict.hpp"

namespace travel {
namespace {

// The figures of headroom's own loop (headroom/measure/finalists.py).
constexpr std::size_t kFinalists = 4;
constexpr std::size_t kContenders = 2;  // of the finalists, timed in the other state of the cache
constexpr double kNearBest = 1.15;
constexpr int kAttempts = 3;  // at a reading that nothing disturbed

double calm_of(const std::string& l2) { return l2 == "warm" ? 0.02 : 0.10; }

}  // namespace

void Finalists::add(Finalist one) {
  best_us_ = std::min(best_us_, one.us);
  all_.push_back(std::move(one));
}

void Finalists::drop_slow() {
  std::sort(all_.begin(), all_.end(), [](const Finalist& a, const Finalist& b) { return a.us < b.us; });
  if (all_.size() > kFinalists) all_.resize(kFinalists);
  while (!all_.empty() && all_.back().us > kNearBest * all_.front().us) all_.pop_back();
}

void Finalists::time(const std::string& l2, const std::function<bool()>& is_over) {
  std::map<Finalist*, Samples> readings;
  for (Finalist* each : turns(l2)) {
    if (is_over()) break;
    if (attempts_.has_failed(each->implementation, l2)) continue;
    attempts_.attempt(each->implementation, l2, [&] {
      const Samples samples = calmest(*each->program, l2);
      const auto found = readings.find(each);
      readings[each] = found == readings.end() ? samples : together(found->second, samples);
    });
  }
  for (const auto& [each, samples] : readings) {
    attempts_.told(each->implementation, l2, samples, *each->program, each->check);
  }
}

// Twice in the state that decides, there and back again, so that a drift of the clock meets all alike.
std::vector<Finalist*> Finalists::turns(const std::string& l2) {
  std::vector<Finalist*> turns;
  for (Finalist& each : all_) turns.push_back(&each);
  if (l2 == "warm") {
    const std::vector<Finalist*> back(turns.rbegin(), turns.rend());
    turns.insert(turns.end(), back.begin(), back.end());
  } else if (turns.size() > kContenders) {
    turns.resize(kContenders);
  }
  return turns;
}

// The first reading that is calm; if none of a few is, the one that spreads least.
Samples Finalists::calmest(Program& program, const std::string& l2) const {
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

}  // namespace travel
