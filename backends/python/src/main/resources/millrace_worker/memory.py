"""Memory that the server maps too: anonymous files, which go with the processes that use them."""

import fcntl
import mmap
import os
import sys

from . import wire

SEALS = 0x0001 | 0x0002 | 0x0004  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW
ADD_SEALS = 1033


class Region:
    """One anonymous file of a fixed size, mapped here."""

    def __init__(self, size):
        self.size = size
        self.descriptor = os.memfd_create("millrace", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, size)
            # The server must never find the end of the file nearer than it was told.
            fcntl.fcntl(self.descriptor, ADD_SEALS, SEALS)
            self.map = mmap.mmap(self.descriptor, size)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.unused = self.references()

    def contents(self):
        """All of it, to be read."""
        return memoryview(self.map).toreadonly()

    def references(self):
        return sys.getrefcount(self.map)

    def is_held(self):
        """Whether there are views of the contents, or arrays over them."""
        return self.references() > self.unused

    def close(self):
        """Unmaps, unless the script still holds an array in it: then that is the last to go."""
        try:
            self.map.close()
        except BufferError:
            pass
        os.close(self.descriptor)


def rounded(size):
    """The next power of two from 1 MiB on."""
    return max(1 << 20, 1 << (size - 1).bit_length())


class Regions:
    """The two regions of one connection: what the server writes, and what this process does."""

    def __init__(self):
        self.inputs = None
        self.outputs = None

    def provide_inputs(self, size):
        """A new region for inputs, in which so many bytes fit."""
        if self.inputs is not None:
            self.inputs.close()
            self.inputs = None
        self.inputs = Region(rounded(size))
        return self.inputs

    def put(self, tensors, size):
        """Copies contents to the region for outputs; whether that is another one than before."""
        renewed = self.outputs is None or self.outputs.size < size
        if renewed:
            if self.outputs is not None:
                self.outputs.close()
                self.outputs = None
            self.outputs = Region(rounded(size))
        view = memoryview(self.outputs.map)
        at = 0
        for tensor in tensors:
            end = at + len(tensor.data)
            view[at:end] = tensor.data
            at += -(-len(tensor.data) // wire.ALIGNMENT) * wire.ALIGNMENT
        return renewed
