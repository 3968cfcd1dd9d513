"""The fuzzers of the C kernels: a moment in an ordinary run, MINUTES with `gantry test --fuzz`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import seeds_jpeg, seeds_jpeg_lossless, seeds_jpeg_ls, seeds_rle

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "agent" / "codecs" / "kernels"
SANITISED = ("-std=c11", "-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FUZZERS: dict[str, tuple[tuple[str, ...], Callable[[Path], None]]] = {
    "jpeg": (
        ("huffman.c", "jpeg_dct.c", "jpeg_blocks.c", "jpeg_planes.c"),
        seeds_jpeg.main,
    ),
    "jpeg_lossless": (("huffman.c", "jpeg_lossless.c"), seeds_jpeg_lossless.main),
    "jpeg_ls": (("jpeg_ls.c", "jpeg_ls_encode.c", "jpeg_ls_decode.c"), seeds_jpeg_ls.main),
    "rle": (("rle.c",), seeds_rle.main),
}
"""By the name of the fuzzer: the sources of the kernel, and what writes its seeds."""


def built(name: str, folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    sources = [
        HERE / f"fuzz_{name}.c",
        HERE / "driver.c",
        *(KERNELS / each for each in FUZZERS[name][0]),
    ]
    program = folder / name
    done = subprocess.run(
        [compiler, *SANITISED, *map(str, sources), "-o", str(program)],
        capture_output=True,
        text=True,
    )
    if "cannot find -lasan" in done.stderr or "cannot find -lubsan" in done.stderr:
        pytest.skip("the compiler has no sanitisers")
    assert done.returncode == 0, done.stderr
    return program


def fuzz(name: str, seconds: int, folder: Path) -> None:
    program = built(name, folder)
    seeds = folder / "seeds"
    FUZZERS[name][1](seeds)
    done = subprocess.run(
        [program, str(seconds), "1", *sorted(seeds.iterdir())],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout.split()[0]) > 100


@pytest.mark.parametrize("name", FUZZERS)
def test_no_input_makes_a_kernel_go_astray(name: str, tmp_path: Path) -> None:
    fuzz(name, 2, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", FUZZERS)
def test_no_input_found_in_minutes_makes_a_kernel_go_astray(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fuzz(name, 60 * int(request.config.getoption("--fuzz")), tmp_path)
