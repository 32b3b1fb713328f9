"""Networks whose widths move in every way that the field knows: small forms with the published structure.

Each function returns ``(module, example_inputs)``; layers, joins and strides are those of the papers, widths and depths
are cut down so that a proof takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_networks import Resnet, Vgg16
from graph_torch import zoo as shared

Model = tuple[nn.Module, tuple[Tensor, ...]]


def image(size: int = 32, channels: int = 3) -> tuple[Tensor, ...]:
    return (torch.zeros(1, channels, size, size),)


def conv_bn(
    before: int, after: int, size: int = 3, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    layers = [nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))


def alexnet() -> Model:
    """Convolutions, then a flattening into linear layers."""
    widths = (8, 12, 16, 12, 12)
    layers: list[nn.Module] = []
    before = 3
    for index, width in enumerate(widths):
        layers += [nn.Conv2d(before, width, 3, 1, 1), nn.ReLU(inplace=True)]
        if index in (0, 1, 4):
            layers.append(nn.MaxPool2d(2))
        before = width
    head = [nn.AdaptiveAvgPool2d((3, 3)), nn.Flatten(), nn.Dropout(), nn.Linear(9 * before, 24), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Dropout(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 10)), image()


def vgg() -> Model:
    """VGG with BatchNorm."""
    layers: list[nn.Module] = []
    before = 3
    for width, repeats in ((8, 2), (12, 2), (16, 3)):
        for _ in range(repeats):
            layers.append(conv_bn(before, width))
            before = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 16, 20), nn.ReLU(), nn.Linear(20, 10)), image()


def _resnet(block: Callable[[int, int, int], nn.Module], expansion: int, by: int) -> Model:
    net = shared.ResNet(block, expansion, (2, 2, 1, 1))
    for layer in net.modules():
        _divide(layer, by)
    return net, image()


def _divide(layer: nn.Module, by: int) -> None:
    """Make a layer narrower than its author did, inputs and outputs alike; images keep their three channels."""
    if isinstance(layer, nn.Conv2d):
        before = layer.in_channels if layer.in_channels == 3 else layer.in_channels // by
        new: nn.Module = nn.Conv2d(before, layer.out_channels // by, layer.kernel_size, layer.stride, layer.padding)
        layer.weight, layer.in_channels, layer.out_channels = new.weight, before, layer.out_channels // by
    elif isinstance(layer, nn.BatchNorm2d):
        layer.__init__(layer.num_features // by)
    elif isinstance(layer, nn.Linear):
        layer.__init__(layer.in_features // by, 10)


def resnet18() -> Model:
    """Residual additions."""
    return _resnet(shared.BasicBlock, 1, 8)


def resnet50() -> Model:
    """Bottlenecks between residual additions."""
    return _resnet(shared.Bottleneck, 4, 16)


class ResNextBlock(nn.Module):
    """A bottleneck whose middle convolution is grouped."""

    def __init__(self, width: int, inner: int, groups: int) -> None:
        super().__init__()
        self.reduce, self.conv = conv_bn(width, inner, 1), conv_bn(inner, inner, 3, groups=groups)
        self.expand = conv_bn(inner, width, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.expand(self.conv(self.reduce(x))))


def resnext() -> Model:
    """Grouped convolutions, which gain and lose whole groups."""
    return nn.Sequential(conv_bn(3, 16), ResNextBlock(16, 12, 4), ResNextBlock(16, 12, 4), Head(16)), image(16)


class Head(nn.Module):
    """Global average pooling and a linear layer."""

    def __init__(self, width: int, classes: int = 10) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))


def mobilenet_v2() -> Model:
    """Inverted residuals with depthwise convolutions and ReLU6."""
    blocks = [shared.InvertedResidual(8, 12, 2, 3), shared.InvertedResidual(12, 12, 1, 3)]
    blocks += [shared.InvertedResidual(12, 16, 2, 3), shared.InvertedResidual(16, 16, 1, 3)]
    return nn.Sequential(conv_bn(3, 8, stride=2), *blocks, conv_bn(16, 24, 1), Head(24)), image()


class SqueezeExcite(nn.Module):
    """A gate per channel, computed from all of them; sigmoid of nothing is a half."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.excite(functional.silu(self.squeeze(gate))))


class MBConv(nn.Module):
    """EfficientNet's block."""

    def __init__(self, before: int, after: int, expand: int, stride: int) -> None:
        super().__init__()
        inner = before * expand
        layers: list[nn.Module] = []
        if expand > 1:
            layers += [nn.Conv2d(before, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.SiLU(inplace=True)]
        layers += [nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.SiLU()]
        layers += [SqueezeExcite(inner, max(2, before // 4)), nn.Conv2d(inner, after, 1, bias=False)]
        self.block = nn.Sequential(*layers, nn.BatchNorm2d(after))
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


def efficientnet() -> Model:
    """Squeeze-and-excite inside inverted residuals."""
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
    blocks = [MBConv(8, 8, 1, 1), MBConv(8, 12, 3, 2), MBConv(12, 12, 3, 1), MBConv(12, 16, 3, 1)]
    return nn.Sequential(stem, *blocks, nn.Conv2d(16, 24, 1), nn.SiLU(), Head(24)), image()


class HardSwishBlock(nn.Module):
    """MobileNetV3's block: hard swish and a squeeze-and-excite with a hard sigmoid."""

    def __init__(self, before: int, inner: int, after: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(before, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(inner, inner, 5, 1, 2, groups=inner), nn.BatchNorm2d(inner))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 4, 1), nn.ReLU(), nn.Conv2d(4, inner, 1))
        self.project = nn.Sequential(nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.hardswish(self.depthwise(self.expand(x)))
        y = self.project(y * functional.hardsigmoid(self.gate(y)))
        return x + y if x.shape == y.shape else y


def mobilenet_v3() -> Model:
    """Hard activations and gates that are not zero at zero."""
    return nn.Sequential(
        conv_bn(3, 8, stride=2), HardSwishBlock(8, 16, 8), HardSwishBlock(8, 20, 12), Head(12)
    ), image()


class ConvNextBlock(nn.Module):
    """Depthwise convolution, LayerNorm over the channels, two linear layers, a scale per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(width, width, 7, 1, 3, groups=width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(functional.gelu(self.up(y)))).permute(0, 3, 1, 2)


def convnext() -> Model:
    """LayerNorm freezes the streams; the layers inside the blocks are free."""
    down = [nn.Conv2d(3, 8, 4, 4), ConvNextBlock(8), ConvNextBlock(8), nn.GroupNorm(1, 8), nn.Conv2d(8, 12, 2, 2)]
    return nn.Sequential(*down, ConvNextBlock(12), Head(12)), image()


class DenseLayer(nn.Module):
    """BatchNorm first, and its input concatenated with what it adds."""

    def __init__(self, before: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(2 * growth), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(y)))], 1)


def densenet() -> Model:
    """Concatenations that every later layer reads."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 8, 3, 1, 1, bias=False)]
    width = 8
    for block in range(2):
        for _ in range(3):
            blocks.append(DenseLayer(width, 4))
            width += 4
        if block == 0:
            blocks += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*blocks, nn.BatchNorm2d(width), nn.ReLU(), Head(width)), image(16)


class Inception(nn.Module):
    """Four branches, concatenated."""

    def __init__(self, before: int, one: int, three: Sequence[int], five: Sequence[int], pool: int) -> None:
        super().__init__()
        self.one = conv_bn(before, one, 1)
        self.three = nn.Sequential(conv_bn(before, three[0], 1), conv_bn(three[0], three[1], 3))
        self.five = nn.Sequential(conv_bn(before, five[0], 1), conv_bn(five[0], five[1], 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(before, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def googlenet() -> Model:
    """Inception modules one after the other."""
    blocks = [Inception(8, 4, (4, 6), (3, 5), 4), nn.MaxPool2d(2), Inception(19, 6, (5, 7), (3, 4), 5)]
    return nn.Sequential(conv_bn(3, 8), *blocks, Head(22)), image(16)


class InceptionV3Block(nn.Module):
    """Branches that split once more at their end, and one that only pools."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.stem = conv_bn(before, 6, 1)
        self.wide, self.tall = nn.Conv2d(6, 5, (1, 3), padding=(0, 1)), nn.Conv2d(6, 5, (3, 1), padding=(1, 0))
        self.deep = nn.Sequential(conv_bn(before, 6, 1), conv_bn(6, 7, 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        pooled = functional.avg_pool2d(x, 3, 1, 1)
        return torch.cat([torch.cat([self.wide(y), self.tall(y)], 1), self.deep(x), pooled], 1)


def inception_v3() -> Model:
    """Nested concatenations; a pooled branch hands its channels through."""
    return nn.Sequential(conv_bn(3, 6), InceptionV3Block(6), InceptionV3Block(23), Head(40)), image(16)


class Fire(nn.Module):
    """SqueezeNet's module."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.one, self.three = nn.Conv2d(squeezed, expanded, 1), nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        return torch.cat([functional.relu(self.one(x)), functional.relu(self.three(x))], 1)


def squeezenet() -> Model:
    """Fire modules; the classifier is a convolution."""
    body = [nn.Conv2d(3, 8, 3, 2), nn.ReLU(), Fire(8, 4, 6), Fire(12, 4, 6), nn.MaxPool2d(2), Fire(12, 5, 8)]
    return nn.Sequential(*body, nn.Conv2d(16, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), image()


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels passes, the other half is computed, then both are shuffled."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        half = after // 2
        self.stride = stride
        entering = before if stride > 1 else half
        if stride > 1:
            self.branch1 = nn.Sequential(
                conv_bn(before, before, 3, stride, groups=before, act=False), conv_bn(before, half, 1)
            )
        self.branch2 = nn.Sequential(
            conv_bn(entering, half, 1), conv_bn(half, half, 3, stride, groups=half, act=False), conv_bn(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            out = torch.cat([self.branch1(x), self.branch2(x)], 1)
        else:
            first, second = x.chunk(2, dim=1)
            out = torch.cat([first, self.branch2(second)], 1)
        batch, channels, height, width = out.shape
        return out.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def shufflenet_v2() -> Model:
    """Chunks and channel shuffles: the halves of a stage stay equal."""
    stages = [ShuffleUnit(8, 24, 2), ShuffleUnit(24, 24, 1), ShuffleUnit(24, 24, 1), ShuffleUnit(24, 32, 2)]
    return nn.Sequential(
        conv_bn(3, 8, stride=2), *stages, ShuffleUnit(32, 32, 1), conv_bn(32, 40, 1), Head(40)
    ), image()


class ShuffleV1Unit(nn.Module):
    """ShuffleNet's unit: grouped 1x1 convolutions with a shuffle between them."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        inner = width // 2
        self.reduce, self.depthwise = conv_bn(width, inner, 1, groups=groups), conv_bn(inner, inner, 3, groups=inner)
        self.expand = conv_bn(inner, width, 1, groups=groups, act=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.channel_shuffle(self.reduce(x), self.groups)
        return functional.relu(x + self.expand(self.depthwise(y)))


def shufflenet_v1() -> Model:
    """Grouped convolutions behind a shuffle: every group keeps its place and changes its width."""
    return nn.Sequential(conv_bn(3, 16), ShuffleV1Unit(16, 2), ShuffleV1Unit(16, 2), Head(16)), image(16)


class Attention(nn.Module):
    """Self-attention with the width of a head kept in an attribute, as in published vision transformers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, width // heads
        self.scale = self.head_dim**-0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        weights = (query * self.scale @ key.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(batch, tokens, -1))


class EncoderBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(width), Attention(width, heads), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, blocks."""

    def __init__(self, width: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token, self.positions = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 5, width))
        self.blocks = nn.Sequential(EncoderBlock(width, heads), EncoderBlock(width, heads))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit() -> Model:
    """Attention heads and their mixing layers."""
    return VisionTransformer(), image(16)


class BertLayer(nn.Module):
    """Post-norm attention with separate projections, and the sizes kept as BERT's code keeps them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size, self.all_head_size = heads, width // heads, width
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dense, self.norm1, self.norm2 = nn.Linear(width, width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.intermediate, self.output = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)

    def heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.num_attention_heads, self.attention_head_size).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self.heads(each(x)) for each in (self.query, self.key, self.value))
        context = functional.scaled_dot_product_attention(query, key, value)
        context = context.permute(0, 2, 1, 3).contiguous()
        context = context.view(*context.shape[:-2], self.all_head_size)
        x = self.norm1(x + self.dense(context))
        return self.norm2(x + self.output(functional.gelu(self.intermediate(x))))


class Bert(nn.Module):
    """Token and position embeddings, two layers, a classifier."""

    def __init__(self, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(30, width), nn.Embedding(8, width)
        self.norm, self.layers = nn.LayerNorm(width), nn.ModuleList(BertLayer(width, heads) for _ in range(2))
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.norm(self.words(tokens) + self.positions(places))
        for layer in self.layers:
            x = layer(x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


def bert() -> Model:
    """Attention whose default scale follows the width of a head."""
    return Bert(), (torch.zeros(1, 6, dtype=torch.long),)


def unet() -> Model:
    """Skip connections, transposed convolutions, a grouped one at the end."""
    return shared.unet()


def hrank_vgg16() -> Model:
    """HRankPlus' VGG16 at a third of its widths."""
    return Vgg16((11, 11, 23, 23, 12, 12, 12, 9, 9, 9, 9, 9, 16)), image()


def hrank_resnet56() -> Model:
    """HRankPlus' ResNet56, all 27 blocks of it: zero-padded shortcuts, the first of which cuts channels off."""
    return Resnet((16, 13, 27, 64), [9] * 9 + [19] * 9 + [38] * 9), image()


def hrank_resnet20() -> Model:
    """The same with three blocks a stage."""
    return Resnet((16, 13, 27, 64), [9] * 3 + [19] * 3 + [38] * 3), image()


class Gated(nn.Module):
    """A gated unit whose halves are cut from one layer, and CReLU, which uses every channel twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1)
        self.third = nn.Conv2d(12, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.first(x).chunk(2, 1)
        y = self.second(value * torch.sigmoid(gate))
        return self.third(torch.cat([functional.relu(y), functional.relu(-y)], 1)).mean((2, 3))


def gated() -> Model:
    """Chunks that multiply each other; channels that are read twice."""
    return Gated(), image(16)


class Split(nn.Module):
    """A split into sizes that the code fixes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = nn.Conv2d(3, 10, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(6, 5, 1)
        self.head = Head(5)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).split([4, 6], 1)
        return self.head(self.left(left) + self.right(right))


def split() -> Model:
    """Channels that the code counts cannot move; what they feed can."""
    return Split(), image(16)


#: Every network, the whole ResNet56 aside, whose 27 blocks take their time.
NETWORKS = {
    make.__name__: make
    for make in (
        *(alexnet, vgg, resnet18, resnet50, resnext, mobilenet_v2, mobilenet_v3, efficientnet, convnext, densenet),
        *(googlenet, inception_v3, squeezenet, shufflenet_v1, shufflenet_v2, vit, bert, unet, hrank_vgg16),
        *(hrank_resnet20, gated, split),
    )
}
