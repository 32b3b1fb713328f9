"""A user's own sheet: what it may say, what follows from it, and how it is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headroom.errors import UsageError
from headroom.gpu.schema import FIELDS
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.gpu.toml_file import MAX_FILE_BYTES
from headroom.graph.tensor import DataType

#: All that the rules cannot know about a GPU of a known compute capability.
SMALLEST = """
compute_capability = "9.0"
memory_type = "HBM3"
sms = 100
clock_mhz = 1500
memory_bytes = 64_000_000_000
dram_peak_gbs = 3000
l2_bytes = 40_000_000
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str, name: str = "my.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return to_file


def refusal(path: Path) -> str:
    """The error sentence for a sheet, without the place it opens with."""
    with pytest.raises(UsageError) as raised:
        load_gpu(path)
    sentence = str(raised.value)
    assert sentence.startswith("gpu sheet ")
    assert sentence.isprintable()
    return sentence.partition(": ")[2]


def test_a_sheet_with_the_few_facts_that_no_rule_knows_is_complete(write: Write) -> None:
    gpu = load_gpu(write(SMALLEST))
    assert (gpu.id, gpu.name, gpu.architecture) == ("my", "my", "Hopper")
    assert gpu.tensor_tflops[DataType.BF16] == pytest.approx(100 * 4096 * 1500 / 1e6)
    assert gpu.sources["sms"] == "user"
    assert {"l2_bandwidth_gbs", "dram_latency_ns"} <= gpu.derived


def test_a_path_may_be_a_text_with_the_suffix_or_a_separator(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(SMALLEST)
    monkeypatch.chdir(path.parent)
    assert load_gpu("my.toml") == load_gpu("./my.toml") == load_gpu(path)


def test_a_byte_order_mark_is_no_obstacle(write: Write) -> None:
    assert load_gpu(write("\ufeff" + SMALLEST)).sms == 100


def test_a_source_is_kept(write: Write) -> None:
    text = SMALLEST.replace("sms = 100", 'sms = { value = 100, source = "a friend" }')
    assert load_gpu(write(text)).sources["sms"] == "a friend"


def test_what_a_sheet_states_wins_over_the_rules(write: Write) -> None:
    gpu = load_gpu(write(SMALLEST + "max_warps_per_sm = 32\nl2_bandwidth_gbs = 4321\n[tensor_tflops]\nbf16 = 500\n"))
    assert (gpu.max_warps_per_sm, gpu.l2.bandwidth_gbs) == (32, 4321)
    assert gpu.tensor_tflops[DataType.BF16] == 500
    assert "tensor_tflops.bf16" not in gpu.derived


def test_a_users_sheet_never_passes_for_a_bundled_gpu(write: Write) -> None:
    assert load_gpu(write('base = "h200"', "h200.toml")).id == "h200.toml"


class TestWhatIf:
    """Sheets with a base."""

    base = load_gpu("h200")

    def test_a_base_alone_gives_the_base(self, write: Write) -> None:
        gpu = load_gpu(write('base = "NVIDIA H200"'))
        assert figures(gpu) == figures(self.base)

    def test_twice_the_sms_double_arithmetic_and_l1_and_leave_l2_and_dram(self, write: Write) -> None:
        gpu = load_gpu(write('base = "h200"\nsms = 264'))
        for dtype, tflops in self.base.tensor_tflops.items():
            assert gpu.tensor_tflops[dtype] == pytest.approx(2 * tflops)
        assert gpu.l1.bandwidth_gbs == pytest.approx(2 * self.base.l1.bandwidth_gbs)
        assert gpu.l1_bytes_per_sm == self.base.l1_bytes_per_sm
        assert (gpu.l2, gpu.dram) == (self.base.l2, self.base.dram)
        assert "l1_bandwidth_gbs" in gpu.derived

    def test_a_base_whose_l2_is_derived_keeps_it_too(self, write: Write) -> None:
        assert load_gpu(write('base = "h100-sxm"\nsms = 264')).l2 == load_gpu("h100-sxm").l2

    def test_rates_that_a_base_states_scale_as_well(self, write: Write) -> None:
        gpu = load_gpu(write('base = "rtx-4090"\nsms = 64'))
        assert gpu.tensor_tflops[DataType.FP16] == pytest.approx(165.2 / 2)

    def test_a_faster_clock_shortens_what_takes_clocks(self, write: Write) -> None:
        gpu = load_gpu(write('base = "h200"\nclock_mhz = 3960'))
        assert gpu.l1.latency_ns == pytest.approx(self.base.l1.latency_ns / 2)
        assert gpu.tensor_tflops[DataType.BF16] == pytest.approx(2 * self.base.tensor_tflops[DataType.BF16])
        assert gpu.dram.latency_ns == self.base.dram.latency_ns

    def test_a_changed_tensor_clock_changes_tensor_rates_alone(self, write: Write) -> None:
        gpu = load_gpu(write('base = "h200"\ntensor_clock_mhz = 915'))
        assert gpu.tensor_tflops[DataType.BF16] == pytest.approx(self.base.tensor_tflops[DataType.BF16] / 2)
        assert gpu.plain_tflops == self.base.plain_tflops

    def test_a_higher_dram_peak_is_reached_to_the_same_share(self, write: Write) -> None:
        gpu = load_gpu(write('base = "h200"\ndram_peak_gbs = 9600'))
        assert gpu.dram.bandwidth_gbs == pytest.approx(2 * self.base.dram.bandwidth_gbs)

    def test_dram_lies_behind_the_l2_so_that_their_latencies_move_together(self, write: Write) -> None:
        gpu = load_gpu(write(f'base = "h200"\nl2_latency_ns = {self.base.l2.latency_ns + 50}'))
        assert gpu.dram.latency_ns == pytest.approx(self.base.dram.latency_ns + 50)
        assert "dram_latency_ns" in gpu.derived

    def test_another_architecture_brings_its_own_limits(self, write: Write) -> None:
        gpu = load_gpu(write('base = "t4"\ncompute_capability = "8.9"'))
        assert (gpu.sms, gpu.max_warps_per_sm) == (40, 48)
        assert gpu.supports(DataType.FP8)

    def test_an_unknown_base_is_refused(self, write: Write) -> None:
        sentence = refusal(write('base = "h2000"'))
        assert sentence.startswith("field 'base': no gpu 'h2000': nearest are h200")


def figures(gpu: GpuSpec) -> tuple[object, ...]:
    return gpu.sms, gpu.plain_tflops, gpu.tensor_tflops, gpu.dram, gpu.l2, gpu.l1, gpu.shared, gpu.launch_us


@pytest.mark.parametrize(
    ("field", "toml", "sentence"),
    [
        ("sms", "-3", "field 'sms' is -3; expected 1 to 1024"),
        ("sms", "0", "field 'sms' is 0; expected 1 to 1024"),
        ("sms", "1_000_000_000", "field 'sms' is 1000000000; expected 1 to 1024"),
        ("sms", "1.5", "field 'sms' is 1.5; expected a whole number, 1 to 1024"),
        ("sms", "true", "field 'sms' is true; expected a number, 1 to 1024"),
        ("sms", '"132"', "field 'sms' is the text '132'; expected a number, 1 to 1024"),
        ("sms", "[132]", "field 'sms' is a list; expected a number, 1 to 1024"),
        ("sms", "1979-05-27", "field 'sms' is a date; expected a number, 1 to 1024"),
        ("sms", "{ valeu = 3 }", "field 'sms' is a table; expected a number, or a table with value and source alone"),
        ("sms", "0x" + "f" * 3000, "field 'sms' is a number of over 128 bits; expected 1 to 1024"),
        ("clock_mhz", "nan", "field 'clock_mhz' is nan; expected 50 to 10000 MHz"),
        ("clock_mhz", "inf", "field 'clock_mhz' is inf; expected 50 to 10000 MHz"),
        ("clock_mhz", "1.98e9", "field 'clock_mhz' is 1.98e+09; expected 50 to 10000 MHz"),
        ("compute_capability", "9.0", "field 'compute_capability' is 9; expected one line of text"),
        (
            "memory_type",
            '"SRAM"',
            "field 'memory_type' is the text 'SRAM'; expected one of GDDR5, GDDR5X, GDDR6, GDDR6X, HBM2, HBM2e, HBM3, "
            "HBM3e, LPDDR4, LPDDR5",
        ),
    ],
)
def test_an_absurd_value_is_refused_with_its_field(write: Write, field: str, toml: str, sentence: str) -> None:
    lines = [line for line in SMALLEST.splitlines() if not line.startswith(field)]
    assert refusal(write("\n".join([*lines, f"{field} = {toml}"]))) == sentence


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("l2_bandwidth_gbs = 1000", "field 'dram_bandwidth_gbs' is 2670; expected at most l2_bandwidth_gbs, 1000 GB/s"),
        ("l1_bandwidth_gbs = 3000", "field 'l2_bandwidth_gbs' is 5782.5; expected at most l1_bandwidth_gbs, 3000 GB/s"),
        ("dram_bandwidth_gbs = 3001", "field 'dram_bandwidth_gbs' is 3001; expected at most dram_peak_gbs, 3000 GB/s"),
        ("l1_latency_ns = 900", "field 'l1_latency_ns' is 900; expected at most l2_latency_ns, 187.333 ns"),
        (
            "shared_bytes_per_cta = 500000",
            "field 'shared_bytes_per_cta' is 500000; expected at most shared_bytes_per_sm, 233472 bytes",
        ),
    ],
)
def test_fields_that_contradict_each_other_are_refused(write: Write, line: str, sentence: str) -> None:
    assert refusal(write(SMALLEST + line)) == sentence


def test_a_missing_field_is_named(write: Write) -> None:
    assert refusal(write(SMALLEST.replace("l2_bytes", "# l2_bytes"))) == (
        "field 'l2_bytes' is missing; expected 16384 to 17179869184 bytes (no rule fills it for compute capability 9.0)"
    )
    assert refusal(write('compute_capability = "9.0"')).startswith("field 'sms' is missing")
    assert refusal(write("")).startswith("field 'compute_capability' is missing; expected one such as 3.7, 5.2,")


def test_an_architecture_that_nobody_knows_has_to_be_described_in_full(write: Write) -> None:
    sentence = refusal(write(SMALLEST.replace("9.0", "99.0")))
    assert sentence.startswith("field 'dram_bandwidth_gbs' is missing")
    assert sentence.endswith("(no rule fills it for compute capability 99.0)")


def test_an_unknown_field_is_answered_with_the_nearest(write: Write) -> None:
    assert (
        refusal(write(SMALLEST + "l2_bandwith = 3")) == "unknown field 'l2_bandwith'; did you mean 'l2_bandwidth_gbs'?"
    )
    assert refusal(write(SMALLEST + "[tensor_tflops]\nfp61 = 3")) == (
        "unknown field 'tensor_tflops.fp61'; did you mean 'tensor_tflops.fp16'?"
    )


def test_a_rate_outside_its_table_is_refused(write: Write) -> None:
    assert refusal(write(SMALLEST + "tensor_tflops = 900")) == (
        "field 'tensor_tflops' is 900; expected a table of rates per data type"
    )


def test_a_syntax_error_is_given_with_its_line(write: Write) -> None:
    assert "at line 2, column" in refusal(write("sms = 3\nclock mhz = 4"))


def test_a_file_that_is_no_sheet_is_refused(tmp_path: Path, write: Write) -> None:
    assert refusal(tmp_path / "absent.toml").startswith("no such file")
    assert refusal(tmp_path).startswith("no such file")
    assert "larger than" in refusal(write("#" * (MAX_FILE_BYTES + 1)))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"sms = 3 # \xff")
    assert refusal(binary) == "not UTF-8 at byte 10; expected a TOML text file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert refusal(tmp_path / "pipe.toml").startswith("no such file")


@pytest.mark.parametrize(
    "text",
    [
        "sms = " + "[\n" * 30_000,
        "sms" + ".a" * 30_000 + " = 1",
        "sms" + ".a" * 2_000 + " = 1",
        "\n".join(f"sms.{'a.' * 1_500}b{line} = 1" for line in range(20)),
        "sms = 0x" + "f" * 4_000,
        "sms = " + "9" * 60_000,
        "x" * 4_000 + " = 1",
        '"\\u001b[31m" = 1',
        "base = '''\n'''",
    ],
    ids=[
        "deep list",
        "long line",
        "deep key",
        "deep keys",
        "huge number",
        "long number",
        "long key",
        "escape codes",
        "empty text",
    ],
)
def test_a_hostile_file_gets_one_short_line(write: Write, text: str) -> None:
    assert len(refusal(write(text))) < 400


values = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.sampled_from([1, 1.0, 100, 1e3, 2**30])
)


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return repr(value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([name for name in FIELDS if "." not in name]), values, max_size=6))
def test_any_values_give_a_consistent_sheet_or_one_line(write: Write, changes: dict[str, object]) -> None:
    lines = [f"{name} = {as_toml(value)}" for name, value in changes.items()]
    path = write("\n".join(['base = "a100-80gb-sxm"', *lines]))
    try:
        gpu = load_gpu(path)
    except UsageError:
        assert refusal(path).startswith("field '")
        return
    assert gpu.l1.bandwidth_gbs >= gpu.l2.bandwidth_gbs >= gpu.dram.bandwidth_gbs > 0
    assert gpu.dram.bandwidth_gbs <= gpu.dram_peak_gbs
    assert gpu.sms >= 1


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_give_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        load_gpu(path)
