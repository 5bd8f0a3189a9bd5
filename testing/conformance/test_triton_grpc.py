"""Triton's Python gRPC clients, blocking and asyncio, as published, on both ports."""

import queue
import unittest

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

import shared_memory
from served import A, B, DIGITS, GRPC, HALF, HTTP, IDENTITY, PIXELS, SIMPLE, STRING, WORDS, X, Y, ServedTest, as_strings, encoded


def inputs(a=A, b=B, datatype="INT32"):
    tensors = [triton.InferInput("INPUT0", a.shape, datatype), triton.InferInput("INPUT1", b.shape, datatype)]
    for tensor, array in zip(tensors, (a, b)):
        tensor.set_data_from_numpy(array)
    return tensors


def outputs():
    return [triton.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]


class TritonGrpcTest(ServedTest):
    address = GRPC

    @classmethod
    def setUpClass(cls):
        cls.client = triton.InferenceServerClient(cls.address)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        for model in (SIMPLE, STRING, IDENTITY):
            self.assertTrue(self.client.is_model_ready(model))
        self.assertTrue(self.client.is_model_ready(SIMPLE, "1"))

    def test_tensorflow_and_pytorch(self):
        x = triton.InferInput("x", X.shape, "FP32").set_data_from_numpy(X)
        np.testing.assert_array_equal(self.client.infer(HALF, [x]).as_numpy("y"), Y)
        pixels = triton.InferInput("pixels", PIXELS.shape, "FP32").set_data_from_numpy(PIXELS)
        self.assertLogits(self.client.infer(DIGITS, [pixels]).as_numpy("logits"))

    def test_server_metadata(self):
        self.assertIn("binary_tensor_data", self.client.get_server_metadata().extensions)

    def test_model_metadata(self):
        metadata = self.client.get_model_metadata(SIMPLE)
        self.assertEqual((metadata.name, list(metadata.versions)), (SIMPLE, ["1"]))
        self.assertEqual(
            [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs],
            [("INPUT0", "INT32", [-1, 16]), ("INPUT1", "INT32", [-1, 16])],
        )
        self.assertEqual(self.client.get_model_metadata(SIMPLE, as_json=True)["name"], SIMPLE)

    def test_infer(self):
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs(), outputs=outputs()).as_numpy)
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs()).as_numpy)

    def test_infer_of_several_rows_compressed(self):
        a = np.tile(A, (8, 1))
        b = np.tile(B, (8, 1))
        for algorithm in (None, "gzip", "deflate"):
            with self.subTest(algorithm=algorithm):
                result = self.client.infer(SIMPLE, inputs(a, b), outputs=outputs(), compression_algorithm=algorithm)
                self.assertSumAndDifference(result.as_numpy, a, b)

    def test_infer_answers_id_model_and_version(self):
        result = self.client.infer(
            SIMPLE, inputs(), model_version="1", request_id="request-7", client_timeout=10, headers={"x-custom": "1"}
        )
        response = result.get_response()
        self.assertEqual((response.id, response.model_name, response.model_version), ("request-7", SIMPLE, "1"))

    def test_async_infer(self):
        done = queue.Queue()
        arrays = {str(n): A + n for n in range(50)}
        for name, a in arrays.items():
            self.client.async_infer(
                SIMPLE, inputs(a), lambda result, error: done.put((result, error)), request_id=name, outputs=outputs()
            )
        for _ in arrays:
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
            self.assertSumAndDifference(result.as_numpy, arrays[result.get_response().id])

    def test_strings(self):
        result = self.client.infer(STRING, inputs(as_strings(A), as_strings(B), "BYTES"), outputs=outputs())
        self.assertStrings(result.as_numpy("OUTPUT0"), as_strings(A + B))
        self.assertStrings(result.as_numpy("OUTPUT1"), as_strings(A - B))

    def test_strings_come_back_as_they_went(self):
        tensor = triton.InferInput("INPUT0", WORDS.shape, "BYTES")
        tensor.set_data_from_numpy(encoded(WORDS))
        self.assertStrings(self.client.infer(IDENTITY, [tensor]).as_numpy("OUTPUT0"), WORDS)

    def test_faults_of_a_request(self):
        for fault, code in (
            (lambda: self.client.infer("missing", inputs()), "StatusCode.NOT_FOUND"),
            (lambda: self.client.infer(SIMPLE, inputs()[:1]), "StatusCode.INVALID_ARGUMENT"),
            (lambda: self.client.infer(SIMPLE, inputs(A[:, :8], B[:, :8])), "StatusCode.INVALID_ARGUMENT"),
        ):
            with self.subTest(code=code), self.assertRaises(InferenceServerException) as raised:
                fault()
            self.assertEqual(raised.exception.status(), code)
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs()).as_numpy)

    def test_stream(self):
        done = queue.Queue()
        self.client.start_stream(lambda result, error: done.put((result, error)))
        try:
            for n in range(100):
                self.client.async_stream_infer(SIMPLE, inputs(A + n), request_id=str(n), outputs=outputs())
            for n in range(100):
                result, error = done.get(timeout=30)
                self.assertIsNone(error)
                response = result.get_response()
                self.assertEqual(response.id, str(n))
                self.assertTrue(response.parameters["triton_final_response"].bool_param)
                self.assertSumAndDifference(result.as_numpy, A + n)
        finally:
            self.client.stop_stream()

    def test_stream_goes_on_after_a_fault(self):
        done = queue.Queue()
        self.client.start_stream(lambda result, error: done.put((result, error)))
        try:
            self.client.async_stream_infer("missing", inputs(), request_id="wrong")
            self.client.async_stream_infer(
                SIMPLE, inputs(), request_id="right", enable_empty_final_response=True, priority=1, timeout=10_000_000
            )
            result, error = done.get(timeout=30)
            self.assertIsNone(result)
            self.assertRegex(str(error), "Request for unknown model")
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
            self.assertSumAndDifference(result.as_numpy)
        finally:
            self.client.stop_stream()

    def test_stream_ends_with_a_fault_if_asked(self):
        done = queue.Queue()
        self.client.start_stream(lambda result, error: done.put((result, error)), headers={"triton_grpc_error": "true"})
        try:
            self.client.async_stream_infer("missing", inputs())
            _, error = done.get(timeout=30)
            self.assertEqual(error.status(), "StatusCode.NOT_FOUND")
        finally:
            self.client.stop_stream()

    def test_configuration(self):
        config = self.client.get_model_config(SIMPLE).config
        self.assertEqual((config.name, config.backend), (SIMPLE, "onnxruntime"))
        self.assertEqual([(i.name, list(i.dims)) for i in config.input], [("INPUT0", [16]), ("INPUT1", [16])])
        self.assertGreater(config.max_batch_size, 0)
        self.assertFalse(config.model_transaction_policy.decoupled)

    def test_statistics_of_a_window_of_load(self):
        before = self.client.get_inference_statistics(SIMPLE, as_json=True)["model_stats"]
        for _ in range(20):
            self.client.infer(SIMPLE, inputs(), outputs=outputs())
        after = self.client.get_inference_statistics(SIMPLE, as_json=True)["model_stats"]
        self.assertEqual((len(before), len(after)), (1, 1))
        self.assertWindowIsCounted(before[0], after[0], requests=20, rows=20)

    def test_classification(self):
        result = self.client.infer(SIMPLE, inputs(), outputs=[triton.InferRequestedOutput("OUTPUT0", class_count=2)])
        self.assertEqual(result.as_numpy("OUTPUT0").tolist(), [[b"18:15", b"17:14"]])

    def test_priority_and_timeout(self):
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs(), priority=2, timeout=10_000_000).as_numpy)

    def test_log_and_trace_settings(self):
        self.assertTrue(self.client.get_log_settings(as_json=True)["settings"]["log_info"]["bool_param"])
        self.client.update_log_settings({"log_verbose_level": 0})
        self.assertEqual(list(self.client.get_trace_settings().settings["trace_level"].value), ["OFF"])

    def test_system_shared_memory(self):
        self.client.unregister_system_shared_memory()
        self.client.unregister_cuda_shared_memory()
        sent, received = shared_memory.regions(A, B)
        try:
            self.client.register_system_shared_memory("sent", shared_memory.KEYS[0], A.nbytes + B.nbytes)
            self.client.register_system_shared_memory("received", shared_memory.KEYS[1], A.nbytes + B.nbytes)
            self.assertEqual(set(self.client.get_system_shared_memory_status().regions), {"sent", "received"})
            tensors = [triton.InferInput("INPUT0", A.shape, "INT32"), triton.InferInput("INPUT1", B.shape, "INT32")]
            tensors[0].set_shared_memory("sent", A.nbytes)
            tensors[1].set_shared_memory("sent", B.nbytes, offset=A.nbytes)
            wanted = outputs()
            wanted[0].set_shared_memory("received", A.nbytes)
            wanted[1].set_shared_memory("received", A.nbytes, offset=A.nbytes)
            result = self.client.infer(SIMPLE, tensors, outputs=wanted)
            self.assertIsNotNone(result.get_output("OUTPUT0"))
            self.assertSumAndDifference(shared_memory.contents(received, A))
            with self.assertRaises(InferenceServerException):
                self.client.register_system_shared_memory("wrong", "/../etc/passwd", 8)
        finally:
            self.client.unregister_system_shared_memory()
            shared_memory.destroy(sent, received)

    def test_repository_index_and_reload(self):
        index = self.client.get_model_repository_index()
        self.assertLessEqual({(SIMPLE, "READY"), (STRING, "READY")}, {(m.name, m.state) for m in index.models})
        self.client.load_model(IDENTITY)
        self.assertTrue(self.client.is_model_ready(IDENTITY))
        with self.assertRaisesRegex(InferenceServerException, "failed to load"):
            self.client.load_model("missing")


class TritonGrpcOnTheHttpPortTest(TritonGrpcTest):
    address = HTTP


class TritonGrpcAsyncioTest(ServedTest, unittest.IsolatedAsyncioTestCase):
    async def test_health_metadata_and_infer(self):
        async with triton_aio.InferenceServerClient(GRPC) as client:
            self.assertTrue(await client.is_server_live())
            self.assertTrue(await client.is_model_ready(SIMPLE))
            self.assertEqual((await client.get_model_metadata(SIMPLE)).name, SIMPLE)
            self.assertSumAndDifference((await client.infer(SIMPLE, inputs(), outputs=outputs())).as_numpy)


if __name__ == "__main__":
    unittest.main()
