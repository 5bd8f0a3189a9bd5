"""Where the server under test listens, and what its example models take and give."""

import os
import time
import unittest
from pathlib import Path

import numpy as np

HTTP = os.environ.get("SERVED_HTTP", "localhost:8080")
GRPC = os.environ.get("SERVED_GRPC", "localhost:8081")

SIMPLE = "simple"
STRING = "simple_string"
IDENTITY = "simple_identity"

# These three are for ONNX Runtime, this one for TensorFlow: y = x / 2 + 2,
HALF = "half_plus_two"
X = np.array([1, 2, 5], dtype=np.float32)
Y = np.array([2.5, 3, 4.5], dtype=np.float32)

# and this one for PyTorch: pixels of handwritten digits, and the logits that it gives in Python.
DIGITS = "digits"
TRAINED = Path(__file__).resolve().parents[2] / "backends/pytorch/src/test/resources/models"
PIXELS = np.loadtxt(TRAINED / "digits.csv", delimiter=",", dtype=np.float32)[:16, :64]
LOGITS = np.loadtxt(TRAINED / "digits-logits.csv", delimiter=",", dtype=np.float32)

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.full((1, 16), 3, dtype=np.int32)
WORDS = np.array([["", "a", "Grüße", "日本語", "\U0001f980", 'quote " and \\'] + ["x" * n for n in range(10)]], dtype=object)


def as_strings(numbers):
    return np.array([[str(n).encode() for n in row] for row in numbers], dtype=object)


def encoded(words):
    return np.array([[word.encode() for word in row] for row in words], dtype=object)


class ServedTest(unittest.TestCase):
    def assertSumAndDifference(self, output, a=A, b=B):
        """`output` gives an output's array by its name."""
        np.testing.assert_array_equal(output("OUTPUT0"), a + b)
        np.testing.assert_array_equal(output("OUTPUT1"), a - b)

    def assertLogits(self, actual):
        np.testing.assert_allclose(np.reshape(actual, LOGITS.shape), LOGITS, atol=1e-3)

    def assertStrings(self, actual, expected):
        """Clients give BYTES as bytes when they came as binary, and as str when they came as JSON."""
        texts = [[e.decode() if isinstance(e, bytes) else e for e in row] for row in actual.tolist()]
        self.assertEqual(texts, [[e.decode() if isinstance(e, bytes) else e for e in row] for row in expected.tolist()])

    def assertWindowIsCounted(self, before, after, requests, rows):
        """Statistics before and after a window of load, as dictionaries: what perf_analyzer differentiates."""
        change = lambda *path: _number(after, *path) - _number(before, *path)
        self.assertEqual(change("inference_count"), rows)
        self.assertTrue(0 < change("execution_count") <= requests)
        self.assertEqual(change("inference_stats", "success", "count"), requests)
        self.assertEqual(change("inference_stats", "fail", "count"), 0)
        parts = 0
        for part in ("queue", "compute_input", "compute_infer", "compute_output"):
            self.assertEqual(change("inference_stats", part, "count"), requests, part)
            self.assertGreaterEqual(change("inference_stats", part, "ns"), 0, part)
            parts += change("inference_stats", part, "ns")
        self.assertGreaterEqual(change("inference_stats", "success", "ns"), parts)
        self.assertLessEqual(abs(time.time() * 1000 - _number(after, "last_inference")), 3_600_000)


def _number(statistics, *path):
    """Over gRPC, as JSON, numbers of 64 bits are texts and zeros are left out."""
    for key in path:
        statistics = statistics.get(key, {})
    return int(statistics or 0)
