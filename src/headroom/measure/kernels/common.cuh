// What every kernel here may use. No header of CUDA's is included, so that NVRTC needs nothing but this folder.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;

// Nanoseconds of the clock that all SMs share. It may tick as coarsely as once a microsecond.
__device__ __forceinline__ u64 global_ns() {
    u64 now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)::"memory");
    return now;
}

__device__ __forceinline__ u64 sm_clocks() {
    u64 now;
    asm volatile("mov.u64 %0, %%clock64;" : "=l"(now)::"memory");
    return now;
}

// How long a CTA ran by both clocks: their ratio is the clock rate while the work was going on.
struct Lap {
    u64 ns, clocks;

    __device__ __forceinline__ Lap() : ns(global_ns()), clocks(sm_clocks()) {}

    // laps[2 * CTA] takes the clocks, laps[2 * CTA + 1] the nanoseconds.
    __device__ __forceinline__ void store(u64* laps) const {
        __syncthreads();
        if (threadIdx.x == 0) {
            laps[2 * blockIdx.x] = sm_clocks() - clocks;
            laps[2 * blockIdx.x + 1] = global_ns() - ns;
        }
    }
};

// The sum over a warp, in every lane.
__device__ __forceinline__ u32 warp_sum(u32 value) {
    for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
    return value;
}
