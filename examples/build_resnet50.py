"""Build ``resnet50.onnx``: ResNet-50 v1.5 with its shapes and no weights, 40 KB instead of 100 MB.

Headroom needs shapes only. Weights are declared as external data that does not exist; Headroom never opens it.

    python examples/build_resnet50.py [OUT.onnx]
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
EXPANSION = 4


class Network:
    """Collects nodes and weights; every method adds one layer and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, *shape: int) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
        self.weights.append(tensor)
        return name

    def node(self, operator: str, module: str, inputs: list[str], **attributes: object) -> str:
        output = f"{module}.out"
        name = "/" + module.replace(".", "/") + "/" + operator
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def conv_bn(self, module: str, x: str, c: int, k: int, kernel: int, stride: int = 1) -> str:
        conv, norm = module, module.replace("conv", "bn").replace("downsample.0", "downsample.1")
        y = self.node(
            "Conv",
            conv,
            [x, self.weight(f"{conv}.weight", k, c, kernel, kernel)],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
        )
        statistics = [self.weight(f"{norm}.{part}", k) for part in ("weight", "bias", "mean", "var")]
        return self.node("BatchNormalization", norm, [y, *statistics])

    def bottleneck(self, module: str, x: str, c: int, width: int, stride: int) -> str:
        y = self.node("Relu", f"{module}.relu1", [self.conv_bn(f"{module}.conv1", x, c, width, 1)])
        y = self.conv_bn(f"{module}.conv2", y, width, width, 3, stride)
        y = self.node("Relu", f"{module}.relu2", [y])
        y = self.conv_bn(f"{module}.conv3", y, width, EXPANSION * width, 1)
        if stride != 1 or c != EXPANSION * width:
            x = self.conv_bn(f"{module}.downsample.0", x, c, EXPANSION * width, 1, stride)
        return self.node("Relu", f"{module}.relu", [self.node("Add", f"{module}.add", [y, x])])


def resnet50() -> onnx.ModelProto:
    """The whole network for 224x224 images, batch 1."""
    net = Network()
    x = net.node("Relu", "relu", [net.conv_bn("conv1", "image", 3, 64, 7, stride=2)])
    x = net.node("MaxPool", "maxpool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, (width, blocks) in enumerate(STAGES, 1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = net.bottleneck(f"layer{stage}.{block}", x, channels, width, stride)
            channels = EXPANSION * width
    x = net.node("Flatten", "flatten", [net.node("GlobalAveragePool", "avgpool", [x])])
    x = net.node("Gemm", "fc", [x, net.weight("fc.weight", 1000, channels), net.weight("fc.bias", 1000)], transB=1)
    graph = helper.make_graph(
        net.nodes,
        "resnet50",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 1000])],
        initializer=net.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("resnet50.onnx")
    out.write_bytes(resnet50().SerializeToString())
    print(f"wrote {out} ({out.stat().st_size / 1024:.0f} KiB)")
