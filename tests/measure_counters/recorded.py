"""What ``ncu`` prints, in its own form: two layers, the second of two kernels, each behind its marker."""

HEAD = (
    '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device",'
    '"CC","dram__bytes.sum","gpu__time_duration.sum","l1tex__t_bytes.sum","launch__waves_per_multiprocessor",'
    '"lts__t_bytes.sum","sm__warps_active.avg.pct_of_peak_sustained_active"'
)
UNITS = '"","","","","","","","","","","","byte","ns","byte","","byte","%"'
_MARKER = "at::cuda::<unnamed>::spin_kernel(long)"


def row(number: int, name: str, dram: str, time: str, l1: str, waves: str, l2: str, occupancy: str) -> str:
    place = f'"{number}","4211","python3","127.0.0.1","{name}","1","7","(128, 1, 1)","(132, 1, 1)","0","9.0"'
    return f'{place},"{dram}","{time}","{l1}","{waves}","{l2}","{occupancy}"'


def marker(number: int) -> str:
    return row(number, _MARKER, "256", "2,304", "0", "0.00", "1,024", "1.56")


TWO_LAYERS = "\n".join(
    [
        "==PROF== Connected to process 4211 (/usr/bin/python3.12)",
        '==PROF== Profiling "spin_kernel" - 0: 0%....50%....100% - 6 passes',
        HEAD,
        UNITS,
        marker(0),
        row(
            1,
            "cudnn_generated_fort_native_sm80",
            "2,359,296",
            "9,120",
            "18,874,368",
            "0.97",
            "4,718,592",
            "12.4",
        ),
        marker(2),
        row(
            3,
            "void cudnn::nchwToNhwcKernel<float>",
            "1,605,632",
            "4,416",
            "3,211,264",
            "2.00",
            "3,211,264",
            "61.2",
        ),
        row(4, "sm80_xmma_fprop_implicit_gemm", "1,000,000", "30,000", "9,000,000", "1.48", "5,000,000", "25.0"),
        "==PROF== Disconnected from process 4211",
    ]
)

NO_PRIVILEGE = (
    "==PROF== Connected to process 77 (/usr/bin/python3.12)\n"
    "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the "
    "target device 0. For instructions on enabling permissions and to get more information see "
    "https://developer.nvidia.com/ERR_NVGPUCTRPERM\n"
    "==PROF== Disconnected from process 77\n"
)
