// Latency: one thread follows a chain of pointers, each load waiting for the one before.
#include "common.cuh"

// The compiler may not read ahead: where a load goes is known only when its predecessor has arrived.
__device__ __forceinline__ u64 hop(u64 at) {
    u64 next;
    asm volatile("ld.global.u64 %0, [%1];" : "=l"(next) : "l"(at));
    return next;
}

// A load that no L1 of this SM or any before it can serve.
__device__ __forceinline__ u64 hop_past_l1(u64 at) {
    u64 next;
    asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(next) : "l"(at));
    return next;
}

// `warm` hops unmeasured, then `hops` (a multiple of 16) measured. end: the last address; laps: as a Lap stores them.
extern "C" __global__ void chase_global(u64 start, u32 warm, u32 hops, u64* end, u64* laps) {
    u64 at = start;
    for (u32 i = 0; i < warm; ++i) at = hop(at);
    Lap lap;
#pragma unroll 16
    for (u32 i = 0; i < hops; ++i) at = hop(at);
    // The address is stored before the clock is read, so that the last load has arrived by then.
    asm volatile("st.volatile.global.u64 [%0], %1;" ::"l"(end), "l"(at) : "memory");
    lap.store(laps);
}

// The same past L1, each of at most MOST_HOPS hops by itself: clocks[i] shows which part of L2 answered.
extern "C" __global__ void chase_each(u64 start, u32 hops, u64* end, u32* clocks) {
    __shared__ volatile u32 arrived[MOST_HOPS];
    __shared__ u32 taken[MOST_HOPS];
    u64 at = start;
    for (u32 i = 0; i < hops; ++i) {
        const u64 before = sm_clocks();
        at = hop_past_l1(at);
        // A store cannot be issued before its operand has arrived.
        arrived[i] = (u32)at;
        taken[i] = (u32)(sm_clocks() - before);
    }
    for (u32 i = 0; i < hops; ++i) clocks[i] = taken[i];
    *end = at;
}

// Shared memory. next[i]: the byte offset of the word that word i points to; `words` of them, at most MOST_HOPS.
extern "C" __global__ void chase_shared(const u32* next, u32 words, u32 hops, u32* end, u64* laps) {
    __shared__ u32 chain[MOST_HOPS];
    const u32 base = (u32)__cvta_generic_to_shared(chain);
    for (u32 i = 0; i < words; ++i) chain[i] = base + next[i];
    __syncthreads();
    u32 at = base;
    Lap lap;
#pragma unroll 16
    for (u32 i = 0; i < hops; ++i) asm volatile("ld.shared.u32 %0, [%0];" : "+r"(at));
    asm volatile("st.volatile.global.u32 [%0], %1;" ::"l"(end), "r"(at - base) : "memory");
    lap.store(laps);
}
