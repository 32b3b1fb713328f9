// Activations in memory: fp32, or bf16 as its 16 bits. Arithmetic is fp32 in either case.
#pragma once

#include "ptx.cuh"

__device__ __forceinline__ float as_fp32(float number) { return number; }
__device__ __forceinline__ float as_fp32(u16 number) { return __uint_as_float((u32)number << 16); }

__device__ __forceinline__ void store(float* to, float value) { *to = value; }
// To nearest, ties to even; a NaN stays one. The instruction for it is younger than the oldest GPU this runs on.
__device__ __forceinline__ void store(u16* to, float value) {
    const u32 bits = __float_as_uint(value);
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    *to = (u16)(is_nan ? (bits >> 16) | 0x40u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
