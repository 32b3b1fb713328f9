"""The worker's side: run a network with the logs of NVIDIA's libraries switched on."""

from __future__ import annotations

import os
from pathlib import Path

from headroom.measure.jobs import Json, Say
from headroom.measure.networks.precision import products_in
from headroom.measure.networks.request import Request


def log_settings(folder: Path) -> dict[str, str]:
    """Environment variables that have each library write its calls to a file of its own in ``folder``.

    As documented for cuDNN 9 (level 3: information), its frontend, cuBLAS, and cuBLASLt (level 2: calls that launch).
    """
    return {
        "CUDNN_LOGLEVEL_DBG": "3",
        "CUDNN_LOGDEST_DBG": str(folder / "cudnn.log"),
        "CUDNN_FRONTEND_LOG_INFO": "1",
        "CUDNN_FRONTEND_LOG_FILE": str(folder / "cudnn_frontend.log"),
        "CUBLAS_LOGINFO_DBG": "1",
        "CUBLAS_LOGDEST_DBG": str(folder / "cublas.log"),
        "CUBLASLT_LOG_LEVEL": "2",
        "CUBLASLT_LOG_FILE": str(folder / "cublaslt.log"),
    }


def run(arguments: Json, say: Say) -> Json:
    """Run ``arguments["request"]`` a second time after it is prepared, logging into ``arguments["folder"]``.

    The logs hold both: what the libraries are asked once, when plans are made, and what every inference asks.

    Raises:
        GpuError, ModelError, UsageError: as :func:`headroom.measure.profiles.recording.job.run`.
    """
    # Before anything loads the libraries: each reads its settings once.
    os.environ.update(log_settings(Path(arguments["folder"])))
    from headroom.measure.profiles.recording.job import device_of, prepared

    request = Request.from_json(arguments["request"])
    say({"step": f"running {request.name} with the libraries' logs on"})
    import torch

    device, _ = device_of(arguments)
    _, inference = prepared(request, device)
    with torch.inference_mode(), products_in(request.dtype):
        device.wall_us(inference, 2)
    return {}
