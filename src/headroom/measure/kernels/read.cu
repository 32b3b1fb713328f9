// Bandwidth of reading: 16 bytes per thread and load, LOADS loads in a row that do not wait for each other.
#include "common.cuh"

struct alignas(16) Vector {
    u32 x, y, z, w;
};

struct ThroughL1 {
    static __device__ __forceinline__ Vector load(const Vector* from) {
        Vector v;
        asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
        return v;
    }
};

struct PastL1 {
    static __device__ __forceinline__ Vector load(const Vector* from) {
        Vector v;
        asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
        return v;
    }
};

// The sum of the words of LOADS vectors, each `step` further round the ring of `vectors`.
template <typename Path>
__device__ __forceinline__ u32 read_batch(const Vector* ring, u32 vectors, u32 step, u32& at) {
    Vector v[LOADS];
#pragma unroll
    for (int i = 0; i < LOADS; ++i) {
        v[i] = Path::load(ring + at);
        at += step;
        if (at >= vectors) at -= vectors;
    }
    u32 sum = 0;
#pragma unroll
    for (int i = 0; i < LOADS; ++i) sum += v[i].x + v[i].y + v[i].z + v[i].w;
    return sum;
}

// Each CTA goes round a ring of its own; the next CTA's begins right behind. sms[CTA] takes the SM that it ran on.
extern "C" __global__ void __launch_bounds__(1024)
read_l1(const Vector* data, u32 vectors, u32 step, u32 batches, u32* sums, u32* sms, u64* laps) {
    const Vector* ring = data + (u64)blockIdx.x * vectors;
    u32 at = threadIdx.x % vectors;
    u32 sum = 0;
    Lap lap;
    for (u32 batch = 0; batch < batches; ++batch) sum += read_batch<ThroughL1>(ring, vectors, step, at);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) atomicAdd(&sums[blockIdx.x], sum);
    if (threadIdx.x == 0) asm("mov.u32 %0, %%smid;" : "=r"(sms[blockIdx.x]));
    lap.store(laps);
}

// All CTAs go round one ring together, each load of the grid right behind the one before.
extern "C" __global__ void __launch_bounds__(512)
read_past_l1(const Vector* data, u32 vectors, u32 step, u32 batches, u32* sums, u64* laps) {
    u32 at = (blockIdx.x * blockDim.x + threadIdx.x) % vectors;
    u32 sum = 0;
    Lap lap;
    for (u32 batch = 0; batch < batches; ++batch) sum += read_batch<PastL1>(data, vectors, step, at);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) atomicAdd(&sums[0], sum);
    lap.store(laps);
}

// Shared memory: SHARED_BYTES filled with what `data` holds, then read round and round.
extern "C" __global__ void __launch_bounds__(1024)
read_shared(const Vector* data, u32 batches, u32* sums, u64* laps) {
    constexpr u32 VECTORS = SHARED_BYTES / sizeof(Vector);
    __shared__ Vector ring[VECTORS];
    for (u32 i = threadIdx.x; i < VECTORS; i += blockDim.x) ring[i] = data[i];
    __syncthreads();
    const u32 base = (u32)__cvta_generic_to_shared(ring);
    u32 at = threadIdx.x % VECTORS;
    u32 sum = 0;
    Lap lap;
    for (u32 batch = 0; batch < batches; ++batch) {
        Vector v[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; ++i) {
            asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(v[i].x), "=r"(v[i].y), "=r"(v[i].z), "=r"(v[i].w) : "r"(base + 16 * at));
            at = (at + blockDim.x) % VECTORS;
        }
#pragma unroll
        for (int i = 0; i < LOADS; ++i) sum += v[i].x + v[i].y + v[i].z + v[i].w;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) atomicAdd(&sums[blockIdx.x], sum);
    lap.store(laps);
}
