// Rates of the plain units: CHAINS independent chains of fused multiply-adds per thread.
#include "common.cuh"

// Each chain adds one per step and is emptied into a total every FMA_STEPS steps, so that the totals count the steps:
// FMA_STEPS is the largest count that every data type holds exactly.

struct Fp32 {
    typedef float Number;
    static __device__ Number ones(u32 one) { return (float)one; }
    static __device__ __forceinline__ void step(Number& x, Number a, Number b) {
        asm volatile("fma.rn.f32 %0, %0, %1, %2;" : "+f"(x) : "f"(a), "f"(b));
    }
    static __device__ __forceinline__ float value(Number x) { return x; }
};

struct Fp64 {
    typedef double Number;
    static __device__ Number ones(u32 one) { return (double)one; }
    static __device__ __forceinline__ void step(Number& x, Number a, Number b) {
        asm volatile("fma.rn.f64 %0, %0, %1, %2;" : "+d"(x) : "d"(a), "d"(b));
    }
    static __device__ __forceinline__ float value(Number x) { return (float)x; }
};

// Two numbers in a register; their values are added.
struct Fp16 {
    typedef u32 Number;
    static __device__ Number ones(u32 one) { return one * 0x3c003c00; }
    static __device__ __forceinline__ void step(Number& x, Number a, Number b) {
        asm volatile("fma.rn.f16x2 %0, %0, %1, %2;" : "+r"(x) : "r"(a), "r"(b));
    }
    static __device__ __forceinline__ float value(Number x) {
        float low, high;
        asm("{.reg .b16 l, h;\n mov.b32 {l, h}, %2;\n cvt.f32.f16 %0, l;\n cvt.f32.f16 %1, h;}"
            : "=f"(low), "=f"(high) : "r"(x));
        return low + high;
    }
};

#if __CUDA_ARCH__ >= 800
struct Bf16 {
    typedef u32 Number;
    static __device__ Number ones(u32 one) { return one * 0x3f803f80; }
    static __device__ __forceinline__ void step(Number& x, Number a, Number b) {
        asm volatile("fma.rn.bf16x2 %0, %0, %1, %2;" : "+r"(x) : "r"(a), "r"(b));
    }
    static __device__ __forceinline__ float value(Number x) {
        return __uint_as_float(x << 16) + __uint_as_float(x & 0xffff0000u);
    }
};
#endif

// one: 1, told at run time, so that no multiply-add is simplified. totals[thread]: steps of all chains, times the numbers
// per register.
template <typename Type>
__device__ __forceinline__ void run(u32 one, u32 rounds, float* totals, u64* laps) {
    typename Type::Number x[CHAINS];
    float total = 0.0f;
    const typename Type::Number ones = Type::ones(one);
    Lap lap;
    for (u32 round = 0; round < rounds; ++round) {
#pragma unroll
        for (int c = 0; c < CHAINS; ++c) x[c] = 0;
#pragma unroll 16
        for (int step = 0; step < FMA_STEPS; ++step) {
#pragma unroll
            for (int c = 0; c < CHAINS; ++c) Type::step(x[c], ones, ones);
        }
#pragma unroll
        for (int c = 0; c < CHAINS; ++c) total += Type::value(x[c]);
    }
    totals[blockIdx.x * blockDim.x + threadIdx.x] = total;
    lap.store(laps);
}

extern "C" __global__ void fma_fp32(u32 one, u32 rounds, float* totals, u64* laps) {
    run<Fp32>(one, rounds, totals, laps);
}
extern "C" __global__ void fma_fp64(u32 one, u32 rounds, float* totals, u64* laps) {
    run<Fp64>(one, rounds, totals, laps);
}
extern "C" __global__ void fma_fp16(u32 one, u32 rounds, float* totals, u64* laps) {
    run<Fp16>(one, rounds, totals, laps);
}
#if __CUDA_ARCH__ >= 800
extern "C" __global__ void fma_bf16(u32 one, u32 rounds, float* totals, u64* laps) {
    run<Bf16>(one, rounds, totals, laps);
}
#endif
