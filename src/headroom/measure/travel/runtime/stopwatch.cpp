#include "stopwatch.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <thread>
#include <utility>

#include "errors.hpp"

namespace travel {
namespace {

constexpr int kTrials = 4;              // replays that tell how long one takes; the first uploads the graph
constexpr double kLongEnoughUs = 5000;  // a first replay this long needs no second one to be believed
constexpr double kCheapUs = 60;         // a shorter launch gets its samples, however fast others are
constexpr double kShortUs = 40;         // a launch that looks shorter is looked at several times over,
constexpr int kSeveral = 8;             // because the start of a graph hides most of it
constexpr double kQuickUs = 150;        // lengths of a sample that are aimed at
constexpr double kPreciseUs = 600;
constexpr int kQuickSamples = 11;
constexpr int kPreciseSamples = 12;
constexpr int kLeastSamples = 10;
constexpr double kLongLaunchUs = 5000;  // of longer launches only the fewest samples are taken
constexpr int kMostLaunches = 400;      // recording one takes the host 10 to 50 us
constexpr double kShortestLaunchUs = 1;
constexpr double kLongestPauseS = 0.05;  // between two looks at the clock

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// What was read during this sample, or during the one closest to it that was caught.
std::optional<double> nearest(const std::map<std::size_t, double>& seen, std::size_t index) {
  std::optional<double> found;
  std::size_t distance = std::numeric_limits<std::size_t>::max();
  for (const auto& [caught, clock] : seen) {
    const std::size_t apart = caught > index ? caught - index : index - caught;
    if (apart < distance) {
      distance = apart;
      found = clock;
    }
  }
  return found;
}

std::optional<unsigned long long> either(std::optional<unsigned long long> a, std::optional<unsigned long long> b) {
  if (a && b) return *a | *b;
  return a ? a : b;
}

}  // namespace

Samples together(Samples first, const Samples& second) {
  const bool clocked = !first.clocks_mhz.empty() && !second.clocks_mhz.empty();
  first.us.insert(first.us.end(), second.us.begin(), second.us.end());
  first.clocks_mhz.insert(first.clocks_mhz.end(), second.clocks_mhz.begin(), second.clocks_mhz.end());
  if (!clocked) first.clocks_mhz.clear();
  first.events = either(first.events, second.events);
  return first;
}

Stopwatch::Stopwatch(const Device& device, const Nvml& nvml, Launch flush, const Launch& nothing)
    : device_(device), nvml_(nvml), flush_(std::move(flush)) {
  flush_();  // its kernel is loaded now, not in the first capture
  nothing();
  device_.wait();
  Recording start(device_.stream(), nothing, 1);
  start_us_ = once(start);
}

Samples Stopwatch::read(const Launch& launch, const std::string& l2, bool precise, double hopeless_us) {
  Samples read;
  const auto before = nvml_.clock_events();
  const bool is_cold = l2 == "cold";
  const Launch flushed = [&] {
    flush_();
    launch();
  };
  const Pace pace = paced(is_cold ? flushed : launch, precise, hopeless_us);
  Recording with(device_.stream(), is_cold ? flushed : launch, pace.launches);
  std::vector<std::vector<Sample>> taken;
  if (is_cold) {
    // Flushes with launches and flushes alone, by turns; what a pair differs by is the launches' time.
    Recording alone(device_.stream(), flush_, pace.launches);
    taken = sampled({&with, &alone}, pace.samples);
  } else {
    taken = sampled({&with}, pace.samples);
  }
  for (std::size_t i = 0; i < taken[0].size(); ++i) {
    const double us = taken[0][i].us - (is_cold ? taken[1][i].us : 0.0);
    read.us.push_back(us / pace.launches);
    if (taken[0][i].clock_mhz) read.clocks_mhz.push_back(*taken[0][i].clock_mhz);
  }
  if (read.clocks_mhz.size() != read.us.size()) read.clocks_mhz.clear();
  read.memory_clock_mhz = nvml_.memory_clock_mhz();
  read.events = either(before, nvml_.clock_events());
  return read;
}

// About how long one replay takes: the shortest of a few, since whatever disturbs one makes it longer.
double Stopwatch::once(Recording& recording) const {
  double shortest_us = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTrials && !(shortest_us > kLongEnoughUs && i > 0); ++i) {
    Event start;
    Event end;
    start.record(device_.stream());
    recording.replay();
    end.record(device_.stream());
    end.wait();
    shortest_us = std::min(shortest_us, start.us_until(end));
  }
  return shortest_us;
}

// As many launches as fill a sample, from a rough look at their length.
Stopwatch::Pace Stopwatch::paced(const Launch& launch, bool precise, double hopeless_us) const {
  Recording single(device_.stream(), launch, 1);
  double us = once(single) - start_us_;
  if (us < kShortUs) {
    Recording several(device_.stream(), launch, kSeveral);
    us = (once(several) - start_us_) / kSeveral;
  }
  if (us > std::max(hopeless_us, kCheapUs)) {
    throw Hopeless("one launch took " + std::to_string(std::lround(us)) + " us; beyond " +
                   std::to_string(std::lround(hopeless_us)) +
                   " us, several times the fastest so far, ten samples are not worth their time");
  }
  us = std::max(us, kShortestLaunchUs);
  const auto launches = static_cast<int>(std::lround((precise ? kPreciseUs : kQuickUs) / us));
  const int samples = us > kLongLaunchUs ? kLeastSamples : precise ? kPreciseSamples : kQuickSamples;
  return {std::clamp(launches, 1, kMostLaunches), samples};
}

// All samples are enqueued at once, so that the GPU never waits for the host; meanwhile the clock is read again and
// again, each time on behalf of the sample that is running.
std::vector<std::vector<Stopwatch::Sample>> Stopwatch::sampled(const std::vector<Recording*>& recordings,
                                                               int samples) const {
  for (Recording* each : recordings) each->replay();  // the first replay of a graph uploads it
  std::vector<std::pair<Event, Event>> marks(static_cast<std::size_t>(samples) * recordings.size());
  for (std::size_t i = 0; i < marks.size(); ++i) {
    marks[i].first.record(device_.stream());
    recordings[i % recordings.size()]->replay();
    marks[i].second.record(device_.stream());
  }
  std::map<std::size_t, double> seen;
  std::size_t running = 0;
  const Clock::time_point begin = Clock::now();
  while (running < marks.size()) {
    if (const auto clock = nvml_.sm_clock_mhz()) seen[running] = *clock;
    while (running < marks.size() && marks[running].second.passed()) ++running;
    // Long samples need few looks: one for each, give or take.
    const double spent_s = seconds_since(begin);
    const double pause_s = spent_s > 0.01 ? spent_s / (2.0 * static_cast<double>(running) + 2.0) : 0.0;
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(pause_s, kLongestPauseS)));
  }
  std::vector<std::vector<Sample>> taken(recordings.size());
  for (std::size_t i = 0; i < marks.size(); ++i) {
    taken[i % recordings.size()].push_back({marks[i].first.us_until(marks[i].second), nearest(seen, i)});
  }
  return taken;
}

}  // namespace travel
