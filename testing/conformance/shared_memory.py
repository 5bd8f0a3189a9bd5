"""Memory that the tests share with the server, through Triton's own Python module."""

import os

import numpy as np
from tritonclient.utils import shared_memory as triton_memory

KEYS = (f"/millrace_sent_{os.getpid()}", f"/millrace_received_{os.getpid()}")


def regions(a, b):
    """One region that holds both arrays, and one as large that holds nothing."""
    sent = triton_memory.create_shared_memory_region("sent", KEYS[0], a.nbytes + b.nbytes)
    triton_memory.set_shared_memory_region(sent, [a, b])
    received = triton_memory.create_shared_memory_region("received", KEYS[1], a.nbytes + b.nbytes)
    triton_memory.set_shared_memory_region(received, [np.zeros_like(a), np.zeros_like(b)])
    return sent, received


def contents(region, like):
    """Gives the two arrays that a region holds, by the name of the output."""
    return lambda output: triton_memory.get_contents_as_numpy(
        region, like.dtype, like.shape, offset=0 if output == "OUTPUT0" else like.nbytes
    )


def destroy(*all_regions):
    for region in all_regions:
        triton_memory.destroy_shared_memory_region(region)
