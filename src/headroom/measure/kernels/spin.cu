// A kernel whose duration is set by its argument and told by two clocks on the GPU itself.
#include "common.cuh"

// Busy for `cycles` SM clocks. totals: launches, SM clocks and nanoseconds, added up over launches.
extern "C" __global__ void spin(u64 cycles, u64* totals) {
    const u64 start_ns = global_ns();
    const u64 start = sm_clocks();
    while (sm_clocks() - start < cycles) {
    }
    const u64 taken = sm_clocks() - start;
    const u64 taken_ns = global_ns() - start_ns;
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        atomicAdd(&totals[0], 1ull);
        atomicAdd(&totals[1], taken);
        atomicAdd(&totals[2], taken_ns);
    }
}
