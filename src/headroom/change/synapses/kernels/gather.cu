// Convolution and linear layer over retained synapse vectors: an implicit GEMM that walks a table of them.
#include "output.cuh"
#include "plain.cuh"
#include "tile.cuh"
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#include "tensor.cuh"
#endif

// inputs: NHWC. table: `steps` x STEP_BYTES / VECTOR_BYTES entries. weights: [step][output][STEP_BYTES], outputs padded with
// zeros to `padded_n`, a multiple of every TILE_N. bias: fp32 or null. out: M x N, that is NHWC. Grid: tiles of M, tiles of N,
// parts of K; with more than one part `out` holds [part][M][N] sums in fp32, which sum_parts adds up.
template <typename Math, typename Out, int VECTOR_BYTES, int STAGES>
__global__ void __launch_bounds__(Math::THREADS, Math::CTAS_PER_SM)
    gather(const unsigned char* __restrict__ inputs, const u32* __restrict__ table,
           const unsigned char* __restrict__ weights, const float* __restrict__ bias, void* __restrict__ out, int steps,
           int padded_n, int relu, int m, int n, int height, int width, int channels, int columns_out, int pixels_out,
           int stride_h, int stride_w, int above, int left) {
    constexpr int INPUT_BYTES = Math::TILE_M * PITCH_BYTES;
    constexpr int STAGE_BYTES = INPUT_BYTES + Math::TILE_N * PITCH_BYTES;
    const Layer layer = {m, n, height, width, channels, columns_out, pixels_out, stride_h, stride_w, above, left};
    const int first_m = blockIdx.x * Math::TILE_M, first_n = blockIdx.y * Math::TILE_N;
    unsigned char* stages = shared_memory();
    Window* windows = (Window*)(stages + STAGES * STAGE_BYTES);
    for (int i = threadIdx.x; i < Math::TILE_M; i += Math::THREADS) windows[i] = window_of(layer, first_m + i);
    __syncthreads();

    const int begin = (u64)steps * blockIdx.z / gridDim.z, end = (u64)steps * (blockIdx.z + 1) / gridDim.z;
    Gather<Math::THREADS, Math::TILE_M, VECTOR_BYTES, Math::NUMBER_BYTES> inputs_of = {layer, inputs, table, windows, 0};
    inputs_of.fetch(begin);
    weights += (u64)first_n * STEP_BYTES;
    // Every step ends a group of copies, even where none is left to make: the count of groups tells which have arrived.
    auto fill = [&](int step, int stage) {
        if (step < end) {
            unsigned char* to = stages + stage * STAGE_BYTES;
            inputs_of.copy(to, min(step + 1, end - 1));
            copy_weights<Math::THREADS, Math::TILE_N>(to + INPUT_BYTES, weights + (u64)step * padded_n * STEP_BYTES);
        }
        copy_commit();
    };
#pragma unroll
    for (int stage = 0; stage < STAGES - 1; ++stage) fill(begin + stage, stage);

    Math math;
    int stage = 0, filled = STAGES - 1;
    for (int step = begin; step < end; ++step) {
        copy_wait<STAGES - 2>();
        // This step has arrived for every thread, and every thread is done with the stage that is filled next.
        __syncthreads();
        fill(step + STAGES - 1, filled);
        math.multiply(stages + stage * STAGE_BYTES, stages + stage * STAGE_BYTES + INPUT_BYTES);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        filled = filled + 1 == STAGES ? 0 : filled + 1;
    }

    if (gridDim.z == 1)
        math.store(TileOut<Out>{out, bias, m, n, first_m, first_n, relu});
    else
        math.store(TileOut<Fp32Out>{(float*)out + (u64)blockIdx.z * m * n, nullptr, m, n, first_m, first_n, 0});
}

// out[i] = the sum over parts, in their order, with bias and ReLU.
template <typename Out>
__global__ void __launch_bounds__(256)
    sum_parts(const float* __restrict__ sums, const float* __restrict__ bias, void* __restrict__ out, u64 count, int parts,
              int n, int relu) {
    const u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    float sum = 0.0f;
    for (int part = 0; part < parts; ++part) sum += __ldg(sums + part * count + i);
    Out::write(out, i, finished(sum, bias, (int)(i % n), relu));
}
