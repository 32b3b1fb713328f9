"""What a model file may ask of us: every limit of the ONNX reader, with its reason.

The largest model anyone shares with us has a few thousand nodes and a few hundred kilobytes without its
weights, so each limit leaves a factor of ten or more to real models and still bounds time and memory.
"""

from __future__ import annotations

MIB = 1 << 20

#: Wall-clock time for one file. Any file must be done with within 10 s, on a busy machine too: interpreter start,
#: killing what hangs and the error take the rest.
TIME_LIMIT_S = 7.0

#: Address space of the process that parses the file. With the parent's own memory it stays under 2 GiB.
MEMORY_BYTES = 1536 * MIB

#: What remains of a file once weights are cut out. Protobuf needs about ten times this in memory.
SKELETON_BYTES = 64 * MIB

#: Floating-point data longer than this is weights and is cut; shorter may be the scales of a Resize.
FLOAT_DATA_BYTES = 1024

#: Integer data longer than this is cut. Shapes, axes and the index tables of a Gather stay below it.
INTEGER_DATA_BYTES = MIB

#: Messages inside messages. Protobuf itself refuses more than 100; a subgraph costs four of them.
MESSAGE_DEPTH = 64

#: Subgraphs inside subgraphs (Loop, If, Scan).
SUBGRAPH_DEPTH = 8

#: Nodes of a model, subgraphs and functions included: about 10 s of work per 50,000, analysis included. Large
#: language models unroll to some 10,000.
NODES = 20_000

#: Tensors of one node: a Concat of a few hundred happens.
NODE_TENSORS = 4096

#: Characters of a name. Exporters chain module names, a few hundred characters at most.
NAME_CHARACTERS = 1024

#: Numbers in one attribute.
ATTRIBUTE_VALUES = 100_000

#: Dimensions of one tensor. Frameworks stop at 8 to 64.
RANK = 32

#: One dimension: what a 32-bit index reaches.
DIMENSION = 2**31 - 1

#: Elements of one tensor: 16 TiB in fp32, beyond any GPU, and far from overflowing 64 bits when multiplied.
ELEMENTS = 2**42

#: One parsed answer of the child.
ANSWER_BYTES = 64 * MIB

#: A sentence that the child hands back: one line on a terminal, with room for two names.
SENTENCE_CHARACTERS = 600
