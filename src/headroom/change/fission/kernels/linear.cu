// outputs = activation(inputs weights^T + bias) for a few rows of inputs: weights cross DRAM packed, once.
#include "numbers.cuh"
#include "unpack.cuh"

#define WARPS 8
#define LANES 32

// A lane's 16 bytes of packed weights meet VALUES fp32 inputs in shared memory. Eight lanes read 16 bytes each at a time;
// their parts are exchanged so that those fall into different banks.
template <int PARTS>
__device__ __forceinline__ int place_of(int chunk, int part) {
    return chunk * PARTS + (part ^ (chunk / (8 / PARTS) % PARTS));
}

// Grid: (outputs / (ROWS * WARPS / SPLIT), batch / BATCH), rounded up; WARPS * LANES threads.
// ROWS: outputs of a warp, which share every input it reads. SPLIT: warps that divide K between them.
// weights: (outputs, row_loads) of 16 bytes. scales: null, or per output and group of group_loads loads; GROUPED: whether
// a row has several. inputs: (batch, k). outputs_at: (batch, outputs). bias: null, or (outputs).
template <typename Format, typename Number, int ROWS, int BATCH, int SPLIT, bool GROUPED>
__global__ void __launch_bounds__(WARPS * LANES) packed_linear(
    const uint4* weights, const float* scales, const Number* inputs, const float* bias, Number* outputs_at, int outputs,
    int k, int batch, int row_loads, int group_loads, int relu
) {
    constexpr int VALUES = 4 * Format::VALUES, PARTS = VALUES / 4, CHUNKS = SPLIT * LANES;
    float4* staged = (float4*)shared_memory();
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES, slice = warp % SPLIT;
    const int first_row = (blockIdx.x * (WARPS / SPLIT) + warp / SPLIT) * ROWS, first_sample = blockIdx.y * BATCH;
    const int own_chunk = slice * LANES + lane, groups = GROUPED ? (row_loads + group_loads - 1) / group_loads : 1;

    auto load = [&](uint4(&into)[ROWS], int chunk) {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            into[r] = make_uint4(0, 0, 0, 0);
            if (first_row + r < outputs && chunk < row_loads)
                into[r] = __ldcs(weights + (long long)(first_row + r) * row_loads + chunk);
        }
    };

    float sums[ROWS][BATCH] = {};
    uint4 packed[ROWS], next[ROWS];
    load(packed, own_chunk);
    for (int first_chunk = 0; first_chunk < row_loads; first_chunk += CHUNKS) {
        // The next weights are on their way while these are multiplied.
        load(next, first_chunk + CHUNKS + own_chunk);
        float* numbers = (float*)staged;
        for (int i = threadIdx.x; i < BATCH * CHUNKS * VALUES; i += WARPS * LANES) {
            const int sample = i / (CHUNKS * VALUES), at = i % (CHUNKS * VALUES), from = first_chunk * VALUES + at;
            const int place = place_of<PARTS>(at / VALUES, at % VALUES / 4);
            const bool inside = from < k && first_sample + sample < batch;
            // Zeros meet the codes that fill a row up, whatever those mean.
            numbers[(sample * CHUNKS * PARTS + place) * 4 + at % 4] =
                inside ? as_fp32(inputs[(long long)(first_sample + sample) * k + from]) : 0.0f;
        }
        __syncthreads();
        float partial[ROWS][BATCH] = {};
#pragma unroll
        for (int word = 0; word < 4; ++word) {
            float values[ROWS][Format::VALUES];
#pragma unroll
            for (int r = 0; r < ROWS; ++r) {
                const u32 bits = word == 0 ? packed[r].x : word == 1 ? packed[r].y : word == 2 ? packed[r].z : packed[r].w;
                unpack<Format>(bits, values[r]);
            }
#pragma unroll
            for (int sample = 0; sample < BATCH; ++sample) {
#pragma unroll
                for (int v = 0; v < Format::VALUES; ++v) {
                    const int at = word * Format::VALUES + v;
                    const float4 four = staged[sample * CHUNKS * PARTS + place_of<PARTS>(own_chunk, at / 4)];
                    const float x = at % 4 == 0 ? four.x : at % 4 == 1 ? four.y : at % 4 == 2 ? four.z : four.w;
#pragma unroll
                    for (int r = 0; r < ROWS; ++r) partial[r][sample] = __fmaf_rn(values[r][v], x, partial[r][sample]);
                }
            }
        }
        const int group = GROUPED ? (first_chunk + own_chunk) / group_loads : 0;
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            float scale = 1.0f;
            if (GROUPED && first_row + r < outputs && first_chunk + own_chunk < row_loads)
                scale = scales[(long long)(first_row + r) * groups + group];
#pragma unroll
            for (int sample = 0; sample < BATCH; ++sample)
                sums[r][sample] = __fmaf_rn(partial[r][sample], scale, sums[r][sample]);
        }
#pragma unroll
        for (int r = 0; r < ROWS; ++r) packed[r] = next[r];
        __syncthreads();
    }

    float* parts = (float*)staged;
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
#pragma unroll
        for (int sample = 0; sample < BATCH; ++sample) {
            float sum = sums[r][sample];
#pragma unroll
            for (int lanes = LANES / 2; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
            if (lane == 0) parts[(warp * ROWS + r) * BATCH + sample] = sum;
        }
    }
    __syncthreads();
    // One thread per output of the CTA adds the slices of K in their order.
    const int index = threadIdx.x, r = index / BATCH % ROWS, sample = index % BATCH, leader = index / (ROWS * BATCH);
    const int row = (blockIdx.x * (WARPS / SPLIT) + leader) * ROWS + r;
    if (leader >= WARPS / SPLIT || row >= outputs || first_sample + sample >= batch) return;
    float sum = 0.0f;
    for (int s = 0; s < SPLIT; ++s) sum += parts[((leader * SPLIT + s) * ROWS + r) * BATCH + sample];
    if (!GROUPED && scales) sum *= scales[row];
    if (bias) sum += bias[row];
    // A NaN stays one, as PyTorch's ReLU leaves it.
    store(outputs_at + (long long)(first_sample + sample) * outputs + row, relu && sum < 0.0f ? 0.0f : sum);
}

// values: (rows, count) of packed rows of row_words words; a thread per word. What the formats are checked with.
template <typename Format>
__global__ void unpack_rows(const u32* words, const float* scales, float* values, int rows, int count, int row_words, int group) {
    const int word = blockIdx.x * blockDim.x + threadIdx.x;
    if (word >= rows * row_words) return;
    const int row = word / row_words, first = word % row_words * Format::VALUES;
    const int groups = scales ? (count + group - 1) / group : 0;
    float found[Format::VALUES];
    unpack<Format>(words[word], found);
#pragma unroll
    for (int v = 0; v < Format::VALUES; ++v)
        if (first + v < count)
            values[(long long)row * count + first + v] =
                scales ? __fmul_rn(found[v], scales[row * groups + (first + v) / group]) : found[v];
}
