// What becomes of a sum: bias, ReLU, and the output's data type.
#pragma once

#include "ptx.cuh"

struct Fp32Out {
    typedef float Number;
    static constexpr bool PAIRED = false;
    static __device__ __forceinline__ void write(void* out, u64 at, float value) { ((float*)out)[at] = value; }
    static __device__ __forceinline__ void write(void* out, u64 at, float value, float next) {
        *(float2*)((float*)out + at) = make_float2(value, next);
    }
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
struct Bf16Out {
    typedef u16 Number;
    static __device__ __forceinline__ void write(void* out, u64 at, float value) {
        ((u16*)out)[at] = (u16)pack_bf16(value, 0.0f);
    }
    static __device__ __forceinline__ void write(void* out, u64 at, float value, float next) {
        *(u32*)((u16*)out + at) = pack_bf16(value, next);
    }
};
#endif

// NaN stays NaN, as PyTorch's ReLU leaves it.
__device__ __forceinline__ float finished(float sum, const float* bias, int column, int relu) {
    if (bias) sum += __ldg(bias + column);
    return relu && sum < 0.0f ? 0.0f : sum;
}

// The tile of an M x N matrix whose first element is (first_m, first_n).
template <typename Out>
struct TileOut {
    void* out;
    const float* bias;
    int m, n, first_m, first_n, relu;

    __device__ __forceinline__ void operator()(int row, int column, float value) const {
        const int at_m = first_m + row, at_n = first_n + column;
        if (at_m < m && at_n < n) Out::write(out, (u64)at_m * n + at_n, finished(value, bias, at_n, relu));
    }
    __device__ __forceinline__ void operator()(int row, int column, float value, float next) const {
        const int at_m = first_m + row, at_n = first_n + column;
        // An odd N leaves pairs of every other row misaligned.
        if (n % 2 || at_n + 1 >= n || at_m >= m) {
            (*this)(row, column, value);
            (*this)(row, column + 1, next);
            return;
        }
        Out::write(out, (u64)at_m * n + at_n, finished(value, bias, at_n, relu), finished(next, bias, at_n + 1, relu));
    }
};
