"""The one part of the build that pyproject.toml cannot say: the codecs' C kernels.

They are one extension module of the limited API, so that one wheel serves every Python from 3.11
on, and optional: without a compiler the package still installs, and offers fewer codecs.
"""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("agent/codecs/kernels")

setup(
    ext_modules=[
        Extension(
            "agent.codecs.kernel",
            sources=sorted(str(path) for path in KERNELS.glob("*.c")),
            depends=sorted(str(path) for path in KERNELS.glob("*.h")),
            define_macros=[("Py_LIMITED_API", "0x030B0000"), ("PY_SSIZE_T_CLEAN", None)],
            extra_compile_args=[
                "-std=c11",
                "-O2",
                "-ftree-vectorize",
                "-fvect-cost-model=dynamic",
                "-fno-strict-aliasing",
                "-Wall",
                "-Wextra",
            ],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
