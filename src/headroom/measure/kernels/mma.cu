// Rates of the tensor cores through mma.sync: CHAINS independent products per warp, operands in registers.
#include "common.cuh"

// A product D += A x B. Registers of one lane hold its fragments; shapes are in the names.
#define PRODUCT_4_2(NAME, INSTRUCTION, ACCUMULATOR, CONSTRAINT)                                                  \
    struct NAME {                                                                                                \
        typedef ACCUMULATOR Number;                                                                              \
        static constexpr int A = 4, B = 2, D = 4;                                                                \
        static __device__ __forceinline__ void step(Number* d, const u32* a, const u32* b) {                     \
            asm volatile(INSTRUCTION " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"          \
                         : CONSTRAINT(d[0]), CONSTRAINT(d[1]), CONSTRAINT(d[2]), CONSTRAINT(d[3])                \
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                    \
        }                                                                                                        \
    };

#if __CUDA_ARCH__ >= 800
PRODUCT_4_2(Fp16, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", float, "+f")
PRODUCT_4_2(Bf16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", float, "+f")
PRODUCT_4_2(Tf32, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", float, "+f")
PRODUCT_4_2(Int8, "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", int, "+r")
#endif
#if __CUDA_ARCH__ >= 890
PRODUCT_4_2(Fp8, "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32", float, "+f")
#endif

struct Fp16Turing {
    typedef float Number;
    static constexpr int A = 2, B = 1, D = 4;
    static __device__ __forceinline__ void step(Number* d, const u32* a, const u32* b) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b[0]));
    }
};

struct Int8Turing {
    typedef int Number;
    static constexpr int A = 1, B = 1, D = 2;
    static __device__ __forceinline__ void step(Number* d, const u32* a, const u32* b) {
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                     : "+r"(d[0]), "+r"(d[1]) : "r"(a[0]), "r"(b[0]));
    }
};

// a, b: the fragments of every lane. out: every lane's sum over its chains, of `rounds` x MMA_STEPS products each.
// Sums are moved to totals every MMA_STEPS steps: in fp8 the tensor cores of Hopper keep only some 14 bits of a sum.
template <typename Product>
__device__ __forceinline__ void run(const u32* a, const u32* b, u32 rounds, typename Product::Number* out, u64* laps) {
    typedef typename Product::Number Number;
    const u32 lane = threadIdx.x % 32;
    u32 af[Product::A], bf[Product::B];
    for (int r = 0; r < Product::A; ++r) af[r] = a[lane * Product::A + r];
    for (int r = 0; r < Product::B; ++r) bf[r] = b[lane * Product::B + r];
    Number total[Product::D] = {};
    Lap lap;
    for (u32 round = 0; round < rounds; ++round) {
        Number d[CHAINS][Product::D] = {};
#pragma unroll 4
        for (int step = 0; step < MMA_STEPS; ++step) {
#pragma unroll
            for (int c = 0; c < CHAINS; ++c) Product::step(d[c], af, bf);
        }
#pragma unroll
        for (int c = 0; c < CHAINS; ++c) {
#pragma unroll
            for (int r = 0; r < Product::D; ++r) total[r] += d[c][r];
        }
    }
    Number* mine = out + (u64)(blockIdx.x * blockDim.x + threadIdx.x) * Product::D;
    for (int r = 0; r < Product::D; ++r) mine[r] = total[r];
    lap.store(laps);
}

#define ENTRY(NAME, PRODUCT)                                                                                     \
    extern "C" __global__ void NAME(const u32* a, const u32* b, u32 rounds, PRODUCT::Number* out, u64* laps) {   \
        run<PRODUCT>(a, b, rounds, out, laps);                                                                   \
    }

ENTRY(mma_fp16_m16n8k8, Fp16Turing)
ENTRY(mma_int8_m8n8k16, Int8Turing)
#if __CUDA_ARCH__ >= 800
ENTRY(mma_fp16_m16n8k16, Fp16)
ENTRY(mma_bf16_m16n8k16, Bf16)
ENTRY(mma_tf32_m16n8k8, Tf32)
ENTRY(mma_int8_m16n8k32, Int8)
#endif
#if __CUDA_ARCH__ >= 890
ENTRY(mma_fp8_m16n8k32, Fp8)
#endif
