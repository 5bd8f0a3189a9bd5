"""Triton's Python HTTP clients, blocking and asyncio, as published."""

import unittest

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

import shared_memory
from served import A, B, DIGITS, HALF, HTTP, IDENTITY, PIXELS, SIMPLE, STRING, WORDS, X, Y, ServedTest, as_strings, encoded


def inputs(a=A, b=B, binary=True, datatype="INT32"):
    tensors = [triton.InferInput("INPUT0", a.shape, datatype), triton.InferInput("INPUT1", b.shape, datatype)]
    for tensor, array in zip(tensors, (a, b)):
        tensor.set_data_from_numpy(array, binary_data=binary)
    return tensors


def outputs(binary=True):
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in ("OUTPUT0", "OUTPUT1")]


class TritonHttpTest(ServedTest):
    @classmethod
    def setUpClass(cls):
        cls.client = triton.InferenceServerClient(HTTP, concurrency=8)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        for model in (SIMPLE, STRING, IDENTITY):
            self.assertTrue(self.client.is_model_ready(model))
        self.assertTrue(self.client.is_model_ready(SIMPLE, "1"))
        self.assertFalse(self.client.is_model_ready("missing"))

    def test_tensorflow_and_pytorch(self):
        for binary in (True, False):
            x = triton.InferInput("x", X.shape, "FP32").set_data_from_numpy(X, binary_data=binary)
            np.testing.assert_array_equal(self.client.infer(HALF, [x]).as_numpy("y"), Y)
            pixels = triton.InferInput("pixels", PIXELS.shape, "FP32").set_data_from_numpy(PIXELS, binary_data=binary)
            self.assertLogits(self.client.infer(DIGITS, [pixels]).as_numpy("logits"))

    def test_server_metadata(self):
        metadata = self.client.get_server_metadata(query_params={"test_1": 1, "test_2": 2})
        self.assertLessEqual({"name", "version", "extensions"}, metadata.keys())
        self.assertIn("binary_tensor_data", metadata["extensions"])

    def test_model_metadata(self):
        metadata = self.client.get_model_metadata(SIMPLE)
        self.assertEqual(metadata["name"], SIMPLE)
        self.assertEqual(metadata["versions"], ["1"])
        self.assertEqual(
            [(t["name"], t["datatype"], t["shape"]) for t in metadata["inputs"]],
            [("INPUT0", "INT32", [-1, 16]), ("INPUT1", "INT32", [-1, 16])],
        )
        self.assertEqual([t["name"] for t in metadata["outputs"]], ["OUTPUT0", "OUTPUT1"])

    def test_metadata_of_an_unknown_model(self):
        with self.assertRaisesRegex(InferenceServerException, "^.*Request for unknown model"):
            self.client.get_model_metadata("missing")

    def test_infer_in_every_mix_of_binary_and_json(self):
        for binary_in in (True, False):
            for binary_out in (True, False):
                with self.subTest(binary_in=binary_in, binary_out=binary_out):
                    result = self.client.infer(SIMPLE, inputs(binary=binary_in), outputs=outputs(binary_out))
                    self.assertSumAndDifference(result.as_numpy)

    def test_infer_with_one_input_binary_and_one_json(self):
        mixed = [inputs(binary=True)[0], inputs(binary=False)[1]]
        self.assertSumAndDifference(self.client.infer(SIMPLE, mixed, outputs=outputs()).as_numpy)

    def test_infer_without_requested_outputs(self):
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs()).as_numpy)

    def test_infer_with_one_requested_output(self):
        result = self.client.infer(SIMPLE, inputs(), outputs=outputs()[1:])
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - B)
        self.assertIsNone(result.as_numpy("OUTPUT0"))

    def test_infer_compressed_both_ways(self):
        a = np.tile(A, (8, 1))
        b = np.tile(B, (8, 1))
        for request in (None, "gzip", "deflate"):
            for response in (None, "gzip", "deflate"):
                for binary in (True, False):
                    with self.subTest(request=request, response=response, binary=binary):
                        result = self.client.infer(
                            SIMPLE,
                            inputs(a, b, binary),
                            outputs=outputs(binary),
                            request_compression_algorithm=request,
                            response_compression_algorithm=response,
                        )
                        self.assertSumAndDifference(result.as_numpy, a, b)

    def test_infer_answers_id_model_and_version(self):
        result = self.client.infer(SIMPLE, inputs(), model_version="1", request_id="request-7", headers={"x-custom": "1"})
        response = result.get_response()
        self.assertEqual((response["id"], response["model_name"], response["model_version"]), ("request-7", SIMPLE, "1"))

    def test_async_infer(self):
        arrays = [A + n for n in range(50)]
        pending = [self.client.async_infer(SIMPLE, inputs(a), outputs=outputs()) for a in arrays]
        for a, request in zip(arrays, pending):
            self.assertSumAndDifference(request.get_result().as_numpy, a)

    def test_strings(self):
        for binary in (True, False):
            with self.subTest(binary=binary):
                result = self.client.infer(
                    STRING, inputs(as_strings(A), as_strings(B), binary, "BYTES"), outputs=outputs(binary)
                )
                self.assertStrings(result.as_numpy("OUTPUT0"), as_strings(A + B))
                self.assertStrings(result.as_numpy("OUTPUT1"), as_strings(A - B))

    def test_strings_come_back_as_they_went(self):
        for binary in (True, False):
            with self.subTest(binary=binary):
                tensor = triton.InferInput("INPUT0", WORDS.shape, "BYTES")
                tensor.set_data_from_numpy(encoded(WORDS), binary_data=binary)
                output = triton.InferRequestedOutput("OUTPUT0", binary_data=binary)
                self.assertStrings(self.client.infer(IDENTITY, [tensor], outputs=[output]).as_numpy("OUTPUT0"), WORDS)

    def test_request_and_response_bodies_made_by_hand(self):
        body, json_size = triton.InferenceServerClient.generate_request_body(inputs(), outputs=outputs())
        headers = {"Inference-Header-Content-Length": str(json_size)} if json_size else {}
        response = self.client._post(f"v2/models/{SIMPLE}/infer", body, headers, None)
        self.assertEqual(response.status_code, 200)
        header_length = response.get("Inference-Header-Content-Length")
        result = triton.InferenceServerClient.parse_response_body(
            response.read(), header_length=int(header_length) if header_length else None
        )
        self.assertSumAndDifference(result.as_numpy)

    def test_faults_of_a_request(self):
        with self.assertRaisesRegex(InferenceServerException, "Request for unknown model"):
            self.client.infer("missing", inputs())
        with self.assertRaises(InferenceServerException) as missing_input:
            self.client.infer(SIMPLE, inputs()[:1])
        self.assertEqual(missing_input.exception.status(), "400")
        with self.assertRaises(InferenceServerException) as wrong_datatype:
            self.client.infer(SIMPLE, inputs(A.astype(np.float32), B.astype(np.float32), datatype="FP32"))
        self.assertEqual(wrong_datatype.exception.status(), "400")
        with self.assertRaises(InferenceServerException) as wrong_shape:
            self.client.infer(SIMPLE, inputs(A[:, :8], B[:, :8]))
        self.assertEqual(wrong_shape.exception.status(), "400")
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs()).as_numpy)

    def test_configuration(self):
        config = self.client.get_model_config(SIMPLE)
        self.assertEqual((config["name"], config["backend"]), (SIMPLE, "onnxruntime"))
        self.assertEqual([(i["name"], i["dims"]) for i in config["input"]], [("INPUT0", [16]), ("INPUT1", [16])])
        self.assertEqual(config["input"][0]["data_type"], "TYPE_INT32")
        self.assertGreater(config["max_batch_size"], 0)

    def test_statistics_of_a_window_of_load(self):
        before = self.client.get_inference_statistics(SIMPLE)["model_stats"]
        for _ in range(20):
            self.client.infer(SIMPLE, inputs(), outputs=outputs())
        after = self.client.get_inference_statistics(SIMPLE)["model_stats"]
        self.assertEqual((len(before), len(after)), (1, 1))
        self.assertWindowIsCounted(before[0], after[0], requests=20, rows=20)
        self.assertGreaterEqual(len(self.client.get_inference_statistics()["model_stats"]), 3)

    def test_classification(self):
        for binary in (True, False):
            output = triton.InferRequestedOutput("OUTPUT0", binary_data=binary, class_count=2)
            classes = self.client.infer(SIMPLE, inputs(), outputs=[output]).as_numpy("OUTPUT0")
            self.assertStrings(classes, np.array([["18:15", "17:14"]], dtype=object))

    def test_priority_and_timeout(self):
        self.assertSumAndDifference(self.client.infer(SIMPLE, inputs(), priority=2, timeout=10_000_000).as_numpy)

    def test_log_and_trace_settings(self):
        self.assertTrue(self.client.get_log_settings()["log_info"])
        self.assertEqual(self.client.update_log_settings({"log_verbose_level": 0})["log_verbose_level"], 0)
        self.assertEqual(self.client.get_trace_settings()["trace_level"], ["OFF"])
        with self.assertRaisesRegex(InferenceServerException, "not supported"):
            self.client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})

    def test_system_shared_memory(self):
        self.client.unregister_system_shared_memory()
        self.client.unregister_cuda_shared_memory()
        sent, received = shared_memory.regions(A, B)
        try:
            self.client.register_system_shared_memory("sent", shared_memory.KEYS[0], A.nbytes + B.nbytes)
            self.client.register_system_shared_memory("received", shared_memory.KEYS[1], A.nbytes + B.nbytes)
            self.assertEqual(
                {region["name"] for region in self.client.get_system_shared_memory_status()}, {"sent", "received"}
            )
            tensors = [triton.InferInput("INPUT0", A.shape, "INT32"), triton.InferInput("INPUT1", B.shape, "INT32")]
            tensors[0].set_shared_memory("sent", A.nbytes)
            tensors[1].set_shared_memory("sent", B.nbytes, offset=A.nbytes)
            wanted = outputs()
            wanted[0].set_shared_memory("received", A.nbytes)
            wanted[1].set_shared_memory("received", A.nbytes, offset=A.nbytes)
            self.client.infer(SIMPLE, tensors, outputs=wanted)
            self.assertSumAndDifference(shared_memory.contents(received, A))
        finally:
            self.client.unregister_system_shared_memory()
            shared_memory.destroy(sent, received)

    def test_repository_index_and_reload(self):
        self.assertLessEqual(
            {(SIMPLE, "1", "READY"), (STRING, "1", "READY")},
            {(m["name"], m["version"], m["state"]) for m in self.client.get_model_repository_index()},
        )
        self.client.load_model(IDENTITY)
        self.assertTrue(self.client.is_model_ready(IDENTITY))
        with self.assertRaisesRegex(InferenceServerException, "failed to load"):
            self.client.load_model("missing")


class TritonHttpAsyncioTest(ServedTest, unittest.IsolatedAsyncioTestCase):
    async def test_health_metadata_and_infer(self):
        async with triton_aio.InferenceServerClient(HTTP) as client:
            self.assertTrue(await client.is_server_live())
            self.assertTrue(await client.is_model_ready(SIMPLE))
            self.assertEqual((await client.get_model_metadata(SIMPLE))["name"], SIMPLE)
            for algorithm in (None, "gzip", "deflate"):
                result = await client.infer(
                    SIMPLE,
                    inputs(),
                    outputs=outputs(),
                    request_compression_algorithm=algorithm,
                    response_compression_algorithm=algorithm,
                )
                self.assertSumAndDifference(result.as_numpy)

    async def test_answers_that_are_long(self):
        # It accepts compression, and takes what comes of these calls for JSON.
        async with triton_aio.InferenceServerClient(HTTP) as client:
            self.assertEqual((await client.get_model_config(SIMPLE))["max_batch_size"], 8)
            statistics = await client.get_inference_statistics(SIMPLE)
            self.assertEqual(statistics["model_stats"][0]["name"], SIMPLE)
            names = {model["name"] for model in await client.get_model_repository_index()}
            self.assertLessEqual({SIMPLE, STRING}, names)


if __name__ == "__main__":
    unittest.main()
