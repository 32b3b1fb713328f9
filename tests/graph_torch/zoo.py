"""Classical networks, written out by hand: torchvision has no build for this machine's PyTorch.

Each function returns ``(module, example_inputs)``. Widths and sizes are the published ones where a test
compares with published counts, and small otherwise.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Model = tuple[nn.Module, tuple[Tensor, ...]]


def image(batch: int = 1, size: int = 224, channels: int = 3) -> tuple[Tensor, ...]:
    return (torch.zeros(batch, channels, size, size),)


class AlexNet(nn.Module):
    """The one-column variant of torchvision, after Krizhevsky 2014."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(9216, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 1000),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet() -> Model:
    return AlexNet(), image()


def vgg16() -> Model:
    layers: list[nn.Module] = []
    channels = 3
    for width, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head), image()


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = shortcut(inplanes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inplanes, planes * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def shortcut(inplanes: int, planes: int, stride: int) -> nn.Module | None:
    if stride == 1 and inplanes == planes:
        return None
    return nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))


class ResNet(nn.Module):
    def __init__(self, block: Callable[[int, int, int], nn.Module], expansion: int, depths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inplanes = 64
        for stage, depth in enumerate(depths):
            planes = 64 << stage
            blocks = []
            for i in range(depth):
                blocks.append(block(inplanes, planes, 2 if stage and i == 0 else 1))
                inplanes = planes * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inplanes, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet18() -> Model:
    return ResNet(BasicBlock, 1, (2, 2, 2, 2)), image()


def resnet50() -> Model:
    return ResNet(Bottleneck, 4, (3, 4, 6, 3)), image()


class InvertedResidual(nn.Module):
    """The block of MobileNetV2: expand, depthwise, project."""

    def __init__(self, inp: int, oup: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inp * expand
        self.residual = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, oup, 1, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def mobilenet_blocks() -> Model:
    return nn.Sequential(InvertedResidual(16, 24, 2, 6), InvertedResidual(24, 24, 1, 6)), image(1, 28, 16)


class Attention(nn.Module):
    """Self-attention written out, as in most published code: no fused operator."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv = nn.Linear(width, width * 3)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, c))


class ViTBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(width, width * 4), act=nn.GELU(), fc2=nn.Linear(width * 4, width))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, size: int = 64, patch: int = 16, width: int = 48, depth: int = 2, heads: int = 3) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(ViTBlock(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit() -> Model:
    return ViT(), image(2, 64)


class BertLayer(nn.Module):
    """One encoder layer with token embeddings and PyTorch's fused attention."""

    def __init__(self, width: int = 64, heads: int = 4, vocabulary: int = 100) -> None:
        super().__init__()
        self.heads = heads
        self.word = nn.Embedding(vocabulary, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dense = nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, width * 4), nn.Linear(width * 4, width)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.word(tokens)
        mixed = functional.scaled_dot_product_attention(*(self.split(f(x)) for f in (self.query, self.key, self.value)))
        x = self.norm1(x + self.dense(mixed.transpose(1, 2).reshape(x.shape)))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


def bert_layer() -> Model:
    return BertLayer(), (torch.zeros(2, 16, dtype=torch.long),)


class Tagger(nn.Module):
    def __init__(self, cell: type[nn.RNNBase] = nn.LSTM, **options: int | bool) -> None:
        super().__init__()
        self.word = nn.Embedding(50, 16)
        self.cells = cell(16, 24, batch_first=True, **options)
        outputs = int(options.get("proj_size", 0)) or 24
        self.tag = nn.Linear(outputs * (2 if options.get("bidirectional") else 1), 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.tag(self.cells(self.word(tokens))[0])


def lstm_tagger() -> Model:
    return Tagger(nn.LSTM, num_layers=2, bidirectional=True), (torch.zeros(3, 7, dtype=torch.long),)


def gru_tagger() -> Model:
    return Tagger(nn.GRU, num_layers=1), (torch.zeros(3, 7, dtype=torch.long),)


def conv1d() -> Model:
    net = nn.Sequential(nn.Conv1d(4, 8, 5, 2, 2), nn.ReLU(), nn.Conv1d(8, 8, 3, dilation=2, groups=4), nn.MaxPool1d(2))
    return net, (torch.zeros(2, 4, 64),)


def conv3d() -> Model:
    net = nn.Sequential(nn.Conv3d(2, 6, 3, (1, 2, 2), 1), nn.BatchNorm3d(6), nn.ReLU(), nn.AvgPool3d(2))
    return net, (torch.zeros(2, 2, 8, 16, 16),)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.merge, self.out = nn.Conv2d(16, 8, 3, padding=1), nn.ConvTranspose2d(8, 2, 3, 2, 1, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.down1(x))
        second = functional.relu(self.down2(self.pool(first)))
        return self.out(functional.relu(self.merge(torch.cat([self.up(second), first], dim=1))))


def unet() -> Model:
    return UNet(), image(2, 32)


class Encoder(nn.Module):
    """PyTorch's own encoder layer, whose attention is fused."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def encoder() -> Model:
    return Encoder(), (torch.zeros(2, 10, 32),)


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.float32)
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * scaled.to(x.dtype)


class LlamaBlock(nn.Module):
    """A decoder block as published language models write it: grouped queries, rotary positions, a causal mask."""

    def __init__(self, width: int = 64, heads: int = 8, kv_heads: int = 2) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.width = heads, kv_heads, width // heads
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.q, self.o = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(width, kv_heads * self.width, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(width, 4 * width, bias=False) for _ in range(2))
        self.down = nn.Linear(4 * width, width, bias=False)
        self.register_buffer("cos", torch.ones(32, self.width))
        self.register_buffer("sin", torch.zeros(32, self.width))

    def rotated(self, x: Tensor) -> Tensor:
        first, second = x[..., : self.width // 2], x[..., self.width // 2 :]
        length = x.shape[2]
        return x * self.cos[:length] + torch.cat((-second, first), -1) * self.sin[:length]

    def repeated(self, x: Tensor) -> Tensor:
        batch, heads, length, width = x.shape
        groups = self.heads // heads
        return x[:, :, None].expand(batch, heads, groups, length, width).reshape(batch, self.heads, length, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        y = self.norm1(x)
        q, k, v = (f(y).view(batch, length, -1, self.width).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k, v = self.rotated(q), self.repeated(self.rotated(k)), self.repeated(v)
        mask = torch.full((length, length), float("-inf")).triu(1)
        scores = q @ k.transpose(2, 3) / self.width**0.5 + mask
        mixed = functional.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype) @ v
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, length, width))
        y = self.norm2(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


def llama_block() -> Model:
    return LlamaBlock(), (torch.zeros(2, 16, 64),)


#: Every network here that has convolutions, products and attention alone: macs are exact.
EXACT = {
    f.__name__: f
    for f in (
        alexnet,
        vgg16,
        resnet18,
        resnet50,
        mobilenet_blocks,
        vit,
        bert_layer,
        conv1d,
        conv3d,
        unet,
        encoder,
        llama_block,
    )
}
