"""Extracts of the libraries' logs that users published or Headroom recorded, each with its origin."""

#: cuDNN 8.2.4 on an RTX 3090; NVIDIA/cudnn-frontend, issue 39.
CUDNN_8 = """\
I! CuDNN (v8204) function cudnnBackendCreateDescriptor() called:
i!     descriptorType: type=cudnnBackendDescriptorType_t; val=CUDNN_BACKEND_TENSOR_DESCRIPTOR (17);
i! Time: 2022-11-25T08:47:46.254294 (0d+0h+0m+0s since start)
i! Process=391; Thread=391; GPU=NULL; Handle=NULL; StreamId=NULL.

I! CuDNN (v8204) function cudnnBackendSetAttribute() called:
i!     descriptor: type=CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
i!         engcfg: type=CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
i!             engine: type=CUDNN_BACKEND_ENGINE_DESCRIPTOR:
i!                 opGraph: type=void*; val=NULL_PTR;
i!                 engine_id: type=int; val=-1;
i!     attributeName: type=cudnnBackendAttributeName_t; val=CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG (401);
i!     attributeType: type=cudnnBackendAttributeType_t; val=CUDNN_TYPE_BACKEND_DESCRIPTOR (15);
i!     elementCount: type=int64_t; val=1;
i!     [0]: type=CUDNN_BACKEND_ENGINECFG_DESCRIPTOR; val=0x55d77efbb970;
i!         : type=bool; val=true;
i! Time: 2022-11-25T08:47:46.579193 (0d+0h+0m+0s since start)
i! Process=391; Thread=391; GPU=NULL; Handle=NULL; StreamId=NULL.
"""

#: cuDNN 9.12 under PyTorch; pytorch/pytorch, issue 167242.
CUDNN_9 = """\
i! Time: 2025-11-14T23:49:41.702901 (0d+0h+1m+39s since start)
i! Process=3600; Thread=10156; GPU=NULL; Handle=NULL; StreamId=NULL.


I! CuDNN (v91200 46) function cudnnBackendSetAttribute() called:
i!     status: type=cudnnStatus_t; val=CUDNN_STATUS_SUCCESS (0);
i! Time: 2025-11-14T23:49:41.702901 (0d+0h+1m+39s since start)
i! Process=3600; Thread=10156; GPU=NULL; Handle=NULL; StreamId=NULL.


I! CuDNN (v91200 46) function cudnnBackendSetAttribute() called:
i!     descriptor: type=CUDNN_BACKEND_TENSOR_DESCRIPTOR:
i!         type: type=cudnnDataType_t; val=CUDNN_DATA_FLOAT (0);
i!         nbDims: type=int; val=4;
i!         dimA: type=int; val=[1152,3,14,14];
i!         strideA: type=int; val=[588,1,42,3];
i!         uid: type=int64_t; val=119;
i!         alignmentInBytes: type=int64_t; val=1;
i!         isVirtual: type=bool; val=false;
i!         isByVal: type=bool; val=false;
i!     attributeName: type=cudnnBackendAttributeName_t; val=CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT (900);
i!     attributeType: type=cudnnBackendAttributeType_t; val=CUDNN_TYPE_INT64 (3);
i!     elementCount: type=int64_t; val=1;
i!     [0]: type=int64_t; val=32;
i! Time: 2025-11-14T23:49:41.702901 (0d+0h+1m+39s since start)
i! Process=3600; Thread=10156; GPU=NULL; Handle=NULL; StreamId=NULL.
"""

#: cuBLAS 13.4.1; github.com/surya-mp/go-peft, lora-cublas.log.
CUBLAS_13 = """\
I! cuBLAS (v13.4.1) function cublasStatus_t cublasCreate_v2(cublasContext**) called:
i!  handle: type=cublasHandle_t; val=POINTER (IN HEX:0x0x2d3af900)
i! Time: 2026-09-11T18:38:49 elapsed from start 0.016667 minutes or 1.000000 seconds
i!Process=14102; Thread=129943171284992; GPU=0; Handle=POINTER (IN HEX:0x(nil))
i! COMPILED WITH: GNU GCC/G++ / 8.5.0 20210514 (Red Hat 8.5.0-26)
I! cuBLAS (v13.4.1) function cublasStatus_t cublasSgemm_v2(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const float*, const float*, int, const float*, int, const float*, float*, int) called:
i!  handle: type=cublasHandle_t; val=POINTER (IN HEX:0x0x2d3c1100)
i!  transa: type=cublasOperation_t; val=CUBLAS_OP_T(1)
i!  transb: type=cublasOperation_t; val=CUBLAS_OP_N(0)
i!  m: type=int; val=2
i!  n: type=int; val=1
i!  k: type=int; val=2
i!  alpha: type=float; val=POINTER (IN HEX:0x0x7ffd937acafc)
i!  A: type=float; val=POINTER (IN HEX:0x0x504e20400)
i!  lda: type=int; val=2
i! Time: 2026-09-11T18:38:49 elapsed from start 0.016667 minutes or 1.000000 seconds
i!Process=14102; Thread=129943171284992; GPU=0; Handle=POINTER (IN HEX:0x0x2d3c1100); StreamId=POINTER (IN HEX:0x(nil)) (defaultStream); MathMode=CUBLAS_DEFAULT_MATH
i! COMPILED WITH: GNU GCC/G++ / 8.5.0 20210514 (Red Hat 8.5.0-26)
"""  # noqa: E501 - as it was published

#: An error that cuBLASLt wrote; NVIDIA/CUDALibrarySamples, issue 274.
CUBLASLT_ERROR = (
    "[cublasLt][702814][Error][cublasLtMatmulAlgoGetHeuristic] The scaling mode for A scale (VEC16_UE4M3) requires a "
    "custom pointer for A scale\n"
)

#: No published log at hand names its origin: written after the form that several show.
CUBLASLT_LIKE = (
    "[2026-01-01 10:00:00][cublasLt][7][Trace][cublasLtTSTMatmul] A=0X1 Adesc=[type=R_16BF rows=64 cols=128 ld=64] "
    "B=0X2 Bdesc=[type=R_16BF rows=64 cols=256 ld=64] computeDesc=[computeType=COMPUTE_32F transa=OP_T] "
    "algo=[algoId=66 tile=MATMUL_TILE_128x128 stages=MATMUL_STAGES_64xAUTO] workSpaceSizeInBytes=0 stream=0X0\n"
)

#: cuBLASLt 13.1.0 under PyTorch 2.11 on an H200: a Linear and the product of attention's output, as Headroom recorded.
CUBLASLT_13 = (
    "[2026-11-22 00:24:18][cublasLt][7][Trace][cublasLtMatmul] A=0X7F2EB16A0000 Adesc=[type=R_16BF "
    "rows=2304 cols=768 ld=2304] B=0X7F2E8BB96200 Bdesc=[type=R_16BF rows=768 cols=197 ld=768] "
    "C=0X7F2E9DC00000 Cdesc=[type=R_16BF rows=2304 cols=197 ld=2304] D=0X7F2E9DC00000 Ddesc=[type=R_16BF "
    "rows=2304 cols=197 ld=2304] computeDesc=[computeType=COMPUTE_32F scaleType=R_32F "
    "epilogue=EPILOGUE_BIAS biasPointer=0x7f2e8ba4b000] algo=[algoId=66 tile=MATMUL_TILE_128x40 "
    "stages=MATMUL_STAGES_64xAUTO customOption=3 clusterShape=CLUSTER_SHAPE_4x2x1] "
    "workSpace=0X7F2E9DCDDA00 workSpaceSizeInBytes=1048576 beta=0 outOfPlace=0 stream=0X0\n"
    "[2026-11-22 00:24:18][cublasLt][7][Trace][cublasLtTSTMatmul] A=0X7F2EB1A00000 Adesc=[type=R_16BF "
    "rows=768 cols=768 ld=768] B=0X7F2E9DC00000 Bdesc=[type=R_16BF rows=768 cols=197 ld=768] "
    "C=0X7F2E8BB96200 Cdesc=[type=R_16BF rows=768 cols=197 ld=768] D=0X7F2E8BB96200 Ddesc=[type=R_16BF "
    "rows=768 cols=197 ld=768] computeDesc=[computeType=COMPUTE_32F scaleType=R_32F smCountTarget=132] "
    "algo=[algoId=66 tile=MATMUL_TILE_64x32 stages=MATMUL_STAGES_64xAUTO customOption=3 "
    "clusterShape=CLUSTER_SHAPE_2x4x1] workSpace=0X0 workSpaceSizeInBytes=0 beta=0 outOfPlace=0 "
    "stream=0X0\n"
)
