// A SIMULATION of the Data Fission Unit, which no GPU has: by the paper's method (section 5.5) each fission is replaced by
// instructions with its register dependencies and the unit's throughput, one instruction of the fp32 units a word. The
// numbers that come out are meaningless. All of a word's values share a register, so that the registers which the unit
// would write (two or four in a row) are not counted.
#pragma once

#include "unpack.cuh"

__device__ __forceinline__ u32 one_cycle(u32 word) {
    float value;
    // Volatile, so that no instruction of the unit is left out.
    asm volatile("mul.rn.f32 %0, %1, %1;" : "=f"(value) : "f"(__uint_as_float(word)));
    return __float_as_uint(value);
}

// dfu_cvt_16 and dfu_cvt_8.
template <int VALUES_OF_A_WORD>
struct SimulatedUnit {
    enum { VALUES = VALUES_OF_A_WORD };
    static constexpr u32 ZERO = 0;
    static __device__ __forceinline__ u32 prepare(u32 word) { return one_cycle(word); }
    static __device__ __forceinline__ float value(u32 word, int) { return __uint_as_float(word); }
};
