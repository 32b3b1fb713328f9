#include "attempts.hpp"

#include <cstdlib>
#include <exception>

#include "errors.hpp"
#include "verdict.hpp"

namespace travel {

bool Attempts::attempt(const Implementation& implementation, const std::string& l2, const std::function<void()>& act) {
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

std::optional<double> Attempts::told(const Implementation& implementation, const std::string& l2,
                                     const Samples& samples, const Program& program, const Check& checked) {
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

void Attempts::fail(const Implementation& implementation, const std::string& l2, const std::string& status,
                    const std::string& reason) {
  tell(failed_row(implementation, l2, status, reason, bench_.device.uuid()));
}

bool Attempts::has_failed(const Implementation& implementation, const std::string& l2) const {
  const auto row = known_.find(key_of(implementation, l2));
  return row != known_.end() && !row->second.median_us;
}

void Attempts::tell(const Row& row) {
  ++told_;
  bench_.tell(row);
}

}  // namespace travel
