"""The documentation does what it says: commands run, generated pages are fresh, links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import headroom

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = (ROOT / "docs" / "cli.md").read_text("utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_first_command_of_the_readme_ends_in_the_main_job() -> None:
    command = blocks(README, "bash")[0]
    assert command.rstrip().endswith("headroom analyze examples/resnet50.onnx --gpu h200")


def test_the_readmes_python_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (code,) = blocks(README, "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resnet50 at batch 8" in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_every_command_in_the_readme_is_one_that_exists() -> None:
    from headroom.cli.main import app

    verbs = {command.name or command.callback.__name__ for command in app.registered_commands}
    verbs |= {group.typer_instance.info.name for group in app.registered_groups}
    lines = [line for block in blocks(README, "bash") for line in block.splitlines() if line.startswith("headroom ")]
    assert len(lines) >= 6
    for line in lines:
        assert shlex.split(line, comments=True)[1] in verbs


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", README))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_shows_is_one_that_the_command_takes(page: Path) -> None:
    manual = dict(re.findall(r"\n##+ `headroom ([a-z -]+)`\n(.*?)(?=\n##|\Z)", COMMANDS, flags=re.DOTALL))
    text = page.read_text("utf-8")
    shown = re.findall(r"^(?:\$ )?headroom ((?:db |gpus |fleet )?[a-z-]+)(.*)$", text, flags=re.MULTILINE)
    for verb, rest in shown:
        assert verb in manual, f"{page.name}: headroom {verb}"
        for option in re.findall(r"(?<= )--[a-z0-9-]+", rest.partition(" #")[0]):
            assert f"`{option}" in manual[verb] or f", {option} " in manual[verb], f"{page.name}: {verb} {option}"


def test_the_command_line_page_is_what_the_commands_say(tmp_path: Path) -> None:
    page = tmp_path / "cli.md"
    typer = Path(sys.executable).with_name("typer")
    arguments = ["headroom.cli.main", "utils", "docs", "--name", "headroom", "--title", "Command line"]
    subprocess.run([typer, *arguments, "--output", page], check=True, capture_output=True, cwd=tmp_path)
    stale = "docs/cli.md is stale: run `typer headroom.cli.main utils docs` as this test does"
    assert page.read_text("utf-8") == (ROOT / "docs" / "cli.md").read_text("utf-8"), stale


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_examples_in_docstrings_hold() -> None:
    tried = 0
    for module in pkgutil.walk_packages(headroom.__path__, "headroom."):
        if module.name.endswith("__main__") or ".torch" in module.name:
            continue
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried > 0


def test_the_examples_run() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "pytorch_model.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "at batch 64 in bf16" in done.stdout


def test_the_what_if_sheet_is_a_different_gpu(tmp_path: Path) -> None:
    from headroom.gpu.sheets import load_gpu

    assert load_gpu(ROOT / "examples" / "what_if.toml").sms == 165
