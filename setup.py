"""Builds the optional C kernels of the codecs; all other metadata is in pyproject.toml.

Each `agent/codecs/kernels/NAME.c` is an extension module of that name for the limited API of
Python 3.11 (one build serves all later versions). Every kernel is optional: without a compiler the
installation succeeds all the same, and the codec uses numpy instead.
"""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = "agent/codecs/kernels"

setup(
    ext_modules=[
        Extension(
            f"{KERNELS.replace('/', '.')}.{source.stem}",
            [f"{KERNELS}/{source.name}"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=["-O3", "-fvisibility=hidden"],
            py_limited_api=True,
            optional=True,
        )
        for source in sorted((Path(__file__).parent / KERNELS).glob("*.c"))
    ]
)
