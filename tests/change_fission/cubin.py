"""What a compiled kernel uses, read off its machine code's own notes: no GPU and no tool of CUDA's is needed."""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: Attributes of a kernel in .nv.info, by the numbers that the CUDA tools give them.
_REGISTERS, _FRAME_BYTES = 0x2F, 0x11
#: An attribute of this form carries its size and its content.
_SIZED = 0x04
_HEADER, _SECTION, _SYMBOL = "<16sHHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IBBHQQ"


@dataclass(frozen=True)
class Usage:
    """Registers of a thread, and bytes of local memory: what does not fit into registers goes there."""

    registers: int
    local_bytes: int


def usage(code: bytes) -> dict[str, Usage]:
    """By the kernels' (mangled) names."""
    fields = struct.unpack_from(_HEADER, code)
    start, count, names_at = fields[6], fields[12], fields[13]
    sections = [struct.unpack_from(_SECTION, code, start + place * 64) for place in range(count)]

    def content(section):
        return code[section[4] : section[4] + section[5]]

    strings = content(sections[names_at])
    by_name = {strings[section[0] : strings.index(b"\0", section[0])].decode(): section for section in sections}
    symbols, text = content(by_name[".symtab"]), content(by_name[".strtab"])
    notes = content(by_name[".nv.info"])
    found: dict[int, dict[int, int]] = {}
    place = 0
    while place < len(notes):
        form, attribute, size = struct.unpack_from("<BBH", notes, place)
        if form == _SIZED:
            if attribute in (_REGISTERS, _FRAME_BYTES):
                symbol, value = struct.unpack_from("<II", notes, place + 4)
                found.setdefault(symbol, {})[attribute] = value
            place += size
        place += 4
    named = {}
    for symbol, values in found.items():
        at = struct.unpack_from(_SYMBOL, symbols, symbol * 24)[0]
        name = text[at : text.index(b"\0", at)].decode()
        named[name] = Usage(values.get(_REGISTERS, 0), values.get(_FRAME_BYTES, 0))
    return named
