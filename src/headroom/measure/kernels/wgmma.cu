// Rates of Hopper's tensor cores through wgmma, which mma.sync does not reach: operands in shared memory.
#include "common.cuh"

#define REGISTERS \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

#define OPERANDS(C) \
    C(d[0]), C(d[1]), C(d[2]), C(d[3]), C(d[4]), C(d[5]), C(d[6]), C(d[7]), \
    C(d[8]), C(d[9]), C(d[10]), C(d[11]), C(d[12]), C(d[13]), C(d[14]), C(d[15]), \
    C(d[16]), C(d[17]), C(d[18]), C(d[19]), C(d[20]), C(d[21]), C(d[22]), C(d[23]), \
    C(d[24]), C(d[25]), C(d[26]), C(d[27]), C(d[28]), C(d[29]), C(d[30]), C(d[31]), \
    C(d[32]), C(d[33]), C(d[34]), C(d[35]), C(d[36]), C(d[37]), C(d[38]), C(d[39]), \
    C(d[40]), C(d[41]), C(d[42]), C(d[43]), C(d[44]), C(d[45]), C(d[46]), C(d[47]), \
    C(d[48]), C(d[49]), C(d[50]), C(d[51]), C(d[52]), C(d[53]), C(d[54]), C(d[55]), \
    C(d[56]), C(d[57]), C(d[58]), C(d[59]), C(d[60]), C(d[61]), C(d[62]), C(d[63]), \
    C(d[64]), C(d[65]), C(d[66]), C(d[67]), C(d[68]), C(d[69]), C(d[70]), C(d[71]), \
    C(d[72]), C(d[73]), C(d[74]), C(d[75]), C(d[76]), C(d[77]), C(d[78]), C(d[79]), \
    C(d[80]), C(d[81]), C(d[82]), C(d[83]), C(d[84]), C(d[85]), C(d[86]), C(d[87]), \
    C(d[88]), C(d[89]), C(d[90]), C(d[91]), C(d[92]), C(d[93]), C(d[94]), C(d[95]), \
    C(d[96]), C(d[97]), C(d[98]), C(d[99]), C(d[100]), C(d[101]), C(d[102]), C(d[103]), \
    C(d[104]), C(d[105]), C(d[106]), C(d[107]), C(d[108]), C(d[109]), C(d[110]), C(d[111]), \
    C(d[112]), C(d[113]), C(d[114]), C(d[115]), C(d[116]), C(d[117]), C(d[118]), C(d[119]), \
    C(d[120]), C(d[121]), C(d[122]), C(d[123]), C(d[124]), C(d[125]), C(d[126]), C(d[127])

// d (+)= A x B for a warpgroup: A is 64 x 32 bytes, B is 256 x 32 bytes, both with K innermost. `add` 0 starts anew.
#define PRODUCT(NAME, INSTRUCTION, ACCUMULATOR, CONSTRAINT, MODIFIERS)                                                \
    struct NAME {                                                                                                     \
        typedef ACCUMULATOR Number;                                                                                   \
        static __device__ __forceinline__ void step(Number* d, u64 a, u64 b, int add) {                               \
            asm volatile("{.reg .pred p;\n setp.ne.b32 p, %130, 0;\n" INSTRUCTION " {" REGISTERS "}, %128, %129, p"  \
                         MODIFIERS ";}"                                                                               \
                         : OPERANDS(CONSTRAINT) : "l"(a), "l"(b), "r"(add));                                          \
        }                                                                                                             \
    };

PRODUCT(Fp16, "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16", float, "+f", ", 1, 1, 0, 0")
PRODUCT(Bf16, "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16", float, "+f", ", 1, 1, 0, 0")
PRODUCT(Tf32, "wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32", float, "+f", ", 1, 1")
PRODUCT(Fp8, "wgmma.mma_async.sync.aligned.m64n256k32.f32.e4m3.e4m3", float, "+f", ", 1, 1")
PRODUCT(Int8, "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8", int, "+r", "")

// Where a tile stands in shared memory, without swizzle: pieces of 8 rows x 16 bytes, 128 bytes each, the two of a
// row block side by side in K (leading offset), the next 8 rows behind them (stride offset). Addresses and offsets
// count in 16 bytes: PTX ISA, matrix descriptor of wgmma.
__device__ __forceinline__ u64 descriptor(const void* tile) {
    const u64 address = ((u64)__cvta_generic_to_shared(tile) & 0x3ffff) >> 4;
    const u64 leading = 128 >> 4, stride = 256 >> 4;
    return address | leading << 16 | stride << 32;
}

// a (2 KiB), b (8 KiB): tiles as the descriptor describes them. out[warpgroup][64][256]: MMA_STEPS products added up;
// every round starts anew, so that the sums stay exact in fp8 too.
template <typename Product>
__device__ __forceinline__ void run(const u32* a, const u32* b, u32 rounds, typename Product::Number* out, u64* laps) {
    typedef typename Product::Number Number;
    __shared__ alignas(128) u32 a_tile[64 * 32 / 4];
    __shared__ alignas(128) u32 b_tile[256 * 32 / 4];
    for (u32 i = threadIdx.x; i < 64 * 32 / 4; i += blockDim.x) a_tile[i] = a[i];
    for (u32 i = threadIdx.x; i < 256 * 32 / 4; i += blockDim.x) b_tile[i] = b[i];
    // The tensor cores read shared memory through another proxy than the stores above.
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    const u64 a_at = descriptor(a_tile), b_at = descriptor(b_tile);
    Number d[128] = {};
    Lap lap;
    for (u32 round = 0; round < rounds; ++round) {
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll 4
        for (int step = 0; step < MMA_STEPS; ++step) Product::step(d, a_at, b_at, step != 0);
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    }
    lap.store(laps);
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Number* tile = out + (u64)(blockIdx.x * blockDim.x / 128 + warp / 4) * 64 * 256;
#pragma unroll
    for (int i = 0; i < 128; ++i) {
        const u32 row = warp % 4 * 16 + lane / 4 + (i / 2 % 2) * 8;
        const u32 column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        tile[row * 256 + column] = d[i];
    }
}

#define ENTRY(NAME, PRODUCT)                                                                                          \
    extern "C" __global__ void __launch_bounds__(256, 1)                                                              \
    NAME(const u32* a, const u32* b, u32 rounds, PRODUCT::Number* out, u64* laps) {                                   \
        run<PRODUCT>(a, b, rounds, out, laps);                                                                        \
    }

ENTRY(wgmma_fp16, Fp16)
ENTRY(wgmma_bf16, Bf16)
ENTRY(wgmma_tf32, Tf32)
ENTRY(wgmma_fp8, Fp8)
ENTRY(wgmma_int8, Int8)
