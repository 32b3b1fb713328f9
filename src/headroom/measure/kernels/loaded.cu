// Latency under traffic (DeLTA, appendix B): one CTA follows a chain of pointers while all others read a stream.
#include "common.cuh"

enum State : u32 { WAITING = 0, RUNNING = 1, STOPPED = 2 };

// Every word of the stream is STREAM_WORD: the sums tell how many were really read.
// totals: words counted, their sum. pause: SM clocks that a thread rests between two batches of LOADS loads.
extern "C" __global__ void chase_loaded(u64 start, u32 hops, u64* end, const u32* stream, u32 vectors, u32 step, u32 pause,
                                        volatile u32* state, u64* totals, u64* laps) {
    if (blockIdx.x == 0) {
        if (threadIdx.x != 0) return;
        *state = RUNNING;
        const u64 start_ns = global_ns();
        const u64 start_clocks = sm_clocks();
        u64 at = start;
        for (u32 i = 0; i < hops; ++i) asm volatile("ld.global.cg.u64 %0, [%0];" : "+l"(at));
        asm volatile("st.volatile.global.u64 [%0], %1;" ::"l"(end), "l"(at) : "memory");
        laps[0] = sm_clocks() - start_clocks;
        laps[1] = global_ns() - start_ns;
        *state = STOPPED;
        return;
    }
    u32 at = ((blockIdx.x - 1) * blockDim.x + threadIdx.x) % vectors;
    u64 words = 0;
    u64 sum = 0;
    while (*state == WAITING) {
    }
    while (*state == RUNNING) {
        u32 v[LOADS][4];
#pragma unroll
        for (int i = 0; i < LOADS; ++i) {
            asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(v[i][0]), "=r"(v[i][1]), "=r"(v[i][2]), "=r"(v[i][3]) : "l"(stream + 4ull * at));
            at += step;
            if (at >= vectors) at -= vectors;
        }
#pragma unroll
        for (int i = 0; i < LOADS; ++i) sum += (u64)v[i][0] + v[i][1] + v[i][2] + v[i][3];
        words += 4 * LOADS;
        const u64 resting = sm_clocks();
        while (sm_clocks() - resting < pause) {
        }
    }
    atomicAdd(&totals[0], words);
    atomicAdd(&totals[1], sum);
}
