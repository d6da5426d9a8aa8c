"""How a function's process is set: what libraries read from the environment while they are imported."""

from __future__ import annotations

VARIABLES = {
    # A thread of BLAS a processor is made at the import of numpy, and waits in a loop; no function has a use for them.
    "OPENBLAS_NUM_THREADS": "1",
    # There are none; to look for them, pydantic goes through everything installed.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    # AMD's Zen 4 takes five times as long to sort by numpy's AVX-512 as by its AVX2 (numpy/x86-simd-sort, issue 6).
    # What a processor does not have is not missed.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
