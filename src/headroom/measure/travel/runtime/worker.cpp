#include "worker.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "blas.hpp"
#include "child.hpp"
#include "json.hpp"
#include "system.hpp"

namespace travel {
namespace {

void measure_all(int pipe, int gpu, const std::vector<std::size_t>& places, const std::map<std::string, Row>& known) {
  const Device device(gpu);
  const Nvml nvml(device.bus());
  const Flush flush(device);
  const Buffer nothing(4);
  Stopwatch stopwatch(
      device, nvml, [&] { flush.launch(); },
      [&] { check(cudaMemsetAsync(nothing.data(), 0, 4, device.stream()), "cudaMemsetAsync"); });
  JsonObject facts;
  facts.raw("system", system_json(device, nvml)).text("gpu_uuid", device.uuid());
  facts.integer("others", static_cast<std::uint64_t>(nvml.others()));
  send(pipe, {Message::system, {"", std::nullopt, facts.written()}});
  const Bench bench{device, nvml, stopwatch, [&](const Row& row) { send(pipe, {Message::trying, row}); },
                    [&](const Row& row) { send(pipe, {Message::row, row}); }};
  for (const std::size_t place : places) {
    const auto begin = std::chrono::steady_clock::now();
    const bool is_first = place == places.front();
    measure(benchmarks()[place](), bench, is_first ? known : std::map<std::string, Row>{});
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    send(pipe, {Message::layer, {"", std::nullopt, json_number(spent.count())}});
  }
}

}  // namespace

void work(int pipe, int gpu, const std::vector<std::size_t>& places, const std::map<std::string, Row>& known) {
  try {
    measure_all(pipe, gpu, places, known);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "headroom_benchmarks: %s\n", error.what());
    std::_Exit(5);
  }
}

}  // namespace travel
