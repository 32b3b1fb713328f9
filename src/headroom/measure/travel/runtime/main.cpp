// Measures the benchmarks of this folder and prints one JSON line for each, after a line that says what runs.
//
//   headroom_benchmarks [--gpu N] [--shared] [--list] >rows.jsonl
//
// headroom db import rows.jsonl takes the lines in. Interrupted, what was printed is whole.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "case.hpp"
#include "child.hpp"
#include "json.hpp"
#include "worker.hpp"

namespace travel {
namespace {

constexpr double kPlanS = 15.0;   // of silence, after which a plan's process is ended
constexpr double kStartS = 60.0;  // for CUDA and the libraries to start
constexpr int kMostDeaths = 20;   // over one benchmark, which then ends with the rows that it has

struct Wishes {
  int gpu = 0;
  bool shared = false;
  bool list = false;
};

bool is_number(const std::string& word) {
  return !word.empty() && word.size() < 9 && word.find_first_not_of("0123456789") == std::string::npos;
}

Wishes wishes_of(int count, char** words) {
  Wishes wishes;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--gpu") == 0 && i + 1 < count && is_number(words[i + 1])) {
      wishes.gpu = std::atoi(words[++i]);
    } else if (std::strcmp(words[i], "--shared") == 0) {
      wishes.shared = true;
    } else if (std::strcmp(words[i], "--list") == 0) {
      wishes.list = true;
    } else {
      std::fprintf(stderr, "usage: %s [--gpu N] [--shared] [--list] >rows.jsonl\n", words[0]);
      std::exit(2);
    }
  }
  return wishes;
}

void print(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

void replace(std::string& text, const std::string& old, const std::string& other) {
  const std::size_t at = text.find(old);
  if (at != std::string::npos) text.replace(at, old.size(), other);
}

// One benchmark's line: the chain as the database has it, and its rows.
std::string line_of(const Benchmark& benchmark, const std::map<std::string, Row>& rows, const std::string& seconds) {
  JsonObject chain;
  chain.text("digest", benchmark.digest).text("title", benchmark.title).raw("layers", benchmark.layers);
  std::string timings;
  for (const auto& [key, row] : rows) timings += (timings.empty() ? "" : ",") + row.json;
  JsonObject line;
  line.raw("chain", chain.written()).text("dtype", benchmark.dtype).raw("seconds", seconds);
  return line.raw("timings", "[" + timings + "]").written();
}

// The watching process: starts one that measures, and another where that died over a plan.
class Watch {
 public:
  explicit Watch(const Wishes& wishes) : wishes_(wishes) {}

  int run() {
    while (place_ < benchmarks().size()) {
      std::vector<std::size_t> places;
      for (std::size_t i = place_; i < benchmarks().size(); ++i) places.push_back(i);
      Child child([&](int pipe) { work(pipe, wishes_.gpu, places, rows_); });
      if (!follow(child)) return 4;
    }
    return 0;
  }

 private:
  // Until the process has ended; whether another one may go on.
  bool follow(Child& child) {
    bool has_started = false;
    Row trying;
    while (auto message = child.next(has_started ? kPlanS : kStartS)) {
      const Row& row = message->content;
      if (message->kind == Message::system) {
        has_started = true;
        if (!begin(row.json)) return false;
      } else if (message->kind == Message::trying) {
        trying = row;
      } else if (message->kind == Message::row) {
        rows_[row.key] = row;
      } else {
        finish(row.json);
      }
    }
    const std::string ending = child.ending();
    if (place_ >= benchmarks().size()) return true;
    if (!has_started) {
      std::fprintf(stderr, "headroom_benchmarks: the measuring process could not start: %s\n", ending.c_str());
      return false;
    }
    blame(trying, ending);
    return true;
  }

  // What was tried when the process died has a row that says so, and is not tried again.
  void blame(Row trying, const std::string& ending) {
    replace(trying.json, "it took the process along", ending);
    if (ending == kNoEnd) replace(trying.json, "\"status\":\"failed\"", "\"status\":\"timeout\"");
    trying.median_us.reset();
    if (!trying.key.empty()) rows_[trying.key] = trying;
    if (++deaths_ >= kMostDeaths) finish("0");
  }

  // The first line, once. A GPU that others use gives times that are not the GPU's.
  bool begin(const std::string& facts) {
    if (has_begun_) return true;
    has_begun_ = true;
    if (facts.find("\"others\":0}") == std::string::npos && !wishes_.shared) {
      std::fputs("headroom_benchmarks: another process computes on this GPU; wait for it, or add --shared\n", stderr);
      return false;
    }
    JsonObject head;
    head.text("format", "headroom-benchmarks").integer("version", 1).integer("method", 1);
    print(head.raw("facts", facts).written());
    return true;
  }

  void finish(const std::string& seconds) {
    print(line_of(benchmarks()[place_](), rows_, seconds));
    rows_.clear();
    deaths_ = 0;
    ++place_;
    std::fprintf(stderr, "%zu of %zu\n", place_, benchmarks().size());
  }

  Wishes wishes_;
  std::size_t place_ = 0;
  std::map<std::string, Row> rows_;
  int deaths_ = 0;
  bool has_begun_ = false;
};

int list() {
  for (const auto& make : benchmarks()) {
    const Benchmark benchmark = make();
    std::printf("%s %s %s\n", benchmark.digest.c_str(), benchmark.dtype.c_str(), benchmark.title.c_str());
  }
  return 0;
}

}  // namespace
}  // namespace travel

int main(int count, char** words) {
  try {
    const travel::Wishes wishes = travel::wishes_of(count, words);
    return wishes.list ? travel::list() : travel::Watch(wishes).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "headroom_benchmarks: %s\n", error.what());
    return 1;
  }
}
