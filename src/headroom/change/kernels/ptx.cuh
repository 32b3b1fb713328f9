// Instructions that C++ has no word for. No header of CUDA's is included, so that NVRTC needs nothing but our folders.
// The tests compile kernels for the CPU too, where the same functions come from a header of theirs.
#pragma once

#ifdef HEADROOM_ON_CPU
#include "ptx.hpp"
#else

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// The CTA's dynamic shared memory.
__device__ __forceinline__ unsigned char* shared_memory() {
    extern __shared__ __align__(128) unsigned char memory[];
    return memory;
}

__device__ __forceinline__ u32 shared_address(const void* shared) {
    return (u32)__cvta_generic_to_shared(shared);
}

__device__ __forceinline__ u32 pack_fp16(float low, float high) {
    u32 pair;
    asm("{.reg .b16 l, h;\n cvt.rn.f16.f32 l, %1;\n cvt.rn.f16.f32 h, %2;\n mov.b32 %0, {l, h};}"
        : "=r"(pair) : "f"(low), "f"(high));
    return pair;
}
__device__ __forceinline__ float low_fp16(u32 pair) {
    float value;
    asm("{.reg .b16 l, h;\n mov.b32 {l, h}, %1;\n cvt.f32.f16 %0, l;}" : "=f"(value) : "r"(pair));
    return value;
}
__device__ __forceinline__ float high_fp16(u32 pair) { return low_fp16(pair >> 16); }
__device__ __forceinline__ float low_bf16(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_bf16(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

#if __CUDA_ARCH__ >= 800

__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
// To nearest, ties away from zero.
__device__ __forceinline__ u32 to_tf32(float x) {
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// D += A B by one warp: 16 x 16 times 16 x 8, or 16 x 8 times 8 x 8 in tf32. Lane l = 4 g + t holds
//   of A the rows g (registers 0, 2) and g + 8 (1, 3), columns 2t and 2t + 1 (0, 1) and 8 more (2, 3); tf32: t and t + 4;
//   of B column g, rows as A's columns; of D the rows g (0, 1) and g + 8 (2, 3), columns 2t and 2t + 1.
#define HEADROOM_MMA(NAME, INSTRUCTION)                                                                          \
    __device__ __forceinline__ void NAME(float(&d)[4], const u32(&a)[4], const u32(&b)[2]) {                     \
        asm volatile(INSTRUCTION " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"              \
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                            \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                        \
    }
HEADROOM_MMA(mma_bf16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32")
HEADROOM_MMA(mma_fp16, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32")
HEADROOM_MMA(mma_tf32, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32")
#undef HEADROOM_MMA

// Four 8 x 8 matrices of 16-bit numbers: lane l gives the address of row l % 8 of matrix l / 8, all in shared memory, and
// gets of matrix i in r[i] row l / 4, columns 2 (l % 4) and the next; transposed: of column l / 4.
__device__ __forceinline__ void load_matrices(u32 (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(u32 (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

// Copies 2, 4, 8 or 16 aligned bytes to shared memory while the thread goes on; zeros instead where not `valid`. Of 16
// bytes nothing stays in L1, which a tile passes only once. Two bytes are too few for cp.async: they are copied at once.
template <int BYTES>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid = true) {
    static_assert(BYTES == 2 || BYTES == 4 || BYTES == 8 || BYTES == 16, "2, 4, 8 or 16 bytes are copied");
    const int read = valid ? BYTES : 0;
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(read)
                     : "memory");
    else if constexpr (BYTES == 2)
        *(u16*)shared = valid ? __ldg((const u16*)global) : (u16)0;
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)), "l"(global), "n"(BYTES),
                     "r"(read) : "memory");
}
// Ends a group of copies.
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// All but the newest `PENDING` groups of this thread have arrived afterwards; a barrier makes others' copies visible.
template <int PENDING>
__device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#else

// Turing has no cp.async: the thread copies at once and never waits.
template <int BYTES>
struct CopiedWord;
template <>
struct CopiedWord<4> { typedef u32 Type; };
template <>
struct CopiedWord<8> { typedef uint2 Type; };
template <>
struct CopiedWord<16> { typedef uint4 Type; };

template <int BYTES>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid = true) {
    typedef typename CopiedWord<BYTES>::Type Word;
    *(Word*)shared = valid ? __ldg((const Word*)global) : Word();
}
__device__ __forceinline__ void copy_commit() {}
template <int PENDING>
__device__ __forceinline__ void copy_wait() {}

#endif
#endif
