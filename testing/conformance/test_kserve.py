"""KServe's Python inference clients, as published."""

import logging
import unittest

import grpc
import httpx
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from served import A, B, DIGITS, GRPC, HALF, HTTP, IDENTITY, PIXELS, SIMPLE, STRING, WORDS, X, Y, ServedTest, as_strings, encoded

URL = f"http://{HTTP}"

# Tests run in asyncio's debug mode, where it reports whatever is slow on a busy machine.
logging.getLogger("asyncio").setLevel(logging.ERROR)


def request(model, arrays, datatype, binary_in=False, binary_out=None):
    tensors = []
    for n, array in enumerate(arrays):
        tensor = InferInput(f"INPUT{n}", list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary_in)
        tensors.append(tensor)
    outputs = None
    if binary_out is not None:
        outputs = [RequestedOutput(f"OUTPUT{n}", {"binary_data": binary_out}) for n in range(len(arrays))]
    return InferRequest(model, tensors, request_id="request-7", request_outputs=outputs)


def output_of(response):
    return lambda name: response.get_output_by_name(name).as_numpy()


class KServeRestTest(ServedTest, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def asyncTearDown(self):
        await self.client.close()

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live(URL))
        self.assertTrue(await self.client.is_server_ready(URL))
        self.assertTrue(await self.client.is_model_ready(URL, SIMPLE))
        self.assertFalse(await self.client.is_model_ready(URL, "missing"))

    async def test_infer_in_every_mix_of_binary_and_json(self):
        for binary_in in (True, False):
            for binary_out in (True, False, None):
                with self.subTest(binary_in=binary_in, binary_out=binary_out):
                    data = request(SIMPLE, (A, B), "INT32", binary_in, binary_out)
                    response = await self.client.infer(URL, data, model_name=SIMPLE)
                    self.assertSumAndDifference(output_of(response))
                    self.assertEqual((response.id, response.model_name), ("request-7", SIMPLE))

    async def test_tensorflow_and_pytorch(self):
        x = InferInput("x", list(X.shape), "FP32")
        x.set_data_from_numpy(X, binary_data=True)
        half = await self.client.infer(URL, InferRequest(HALF, [x]), model_name=HALF)
        self.assertEqual(output_of(half)("y").tolist(), Y.tolist())
        pixels = InferInput("pixels", list(PIXELS.shape), "FP32")
        pixels.set_data_from_numpy(PIXELS, binary_data=True)
        digits = await self.client.infer(URL, InferRequest(DIGITS, [pixels]), model_name=DIGITS)
        self.assertLogits(output_of(digits)("logits"))

    async def test_infer_with_a_dictionary(self):
        data = {
            "inputs": [
                {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": A.tolist()},
                {"name": "INPUT1", "shape": [1, 16], "datatype": "INT32", "data": B.flatten().tolist()},
            ]
        }
        self.assertSumAndDifference(output_of(await self.client.infer(URL, data, model_name=SIMPLE)))

    async def test_strings(self):
        for binary in (True, False):
            with self.subTest(binary=binary):
                data = request(STRING, (as_strings(A), as_strings(B)), "BYTES", binary, binary)
                response = await self.client.infer(URL, data, model_name=STRING)
                self.assertStrings(output_of(response)("OUTPUT0"), as_strings(A + B))

    async def test_unknown_model(self):
        with self.assertRaises(httpx.HTTPStatusError) as raised:
            await self.client.infer(URL, request("missing", (A, B), "INT32"), model_name="missing")
        self.assertEqual(raised.exception.response.status_code, 404)


class KServeGrpcTest(ServedTest, unittest.IsolatedAsyncioTestCase):
    address = GRPC

    async def asyncSetUp(self):
        self.client = InferenceGRPCClient(self.address)

    async def asyncTearDown(self):
        await self.client.close()

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live())
        self.assertTrue(await self.client.is_server_ready())
        self.assertTrue(await self.client.is_model_ready(SIMPLE))

    async def test_infer_raw_and_typed(self):
        for raw in (True, False):
            with self.subTest(raw=raw):
                response = await self.client.infer(request(SIMPLE, (A, B), "INT32", raw))
                self.assertSumAndDifference(output_of(response))
                self.assertEqual((response.id, response.model_name), ("request-7", SIMPLE))

    async def test_strings_come_back_as_they_went(self):
        for raw in (True, False):
            with self.subTest(raw=raw):
                response = await self.client.infer(request(IDENTITY, (encoded(WORDS),), "BYTES", raw))
                self.assertStrings(output_of(response)("OUTPUT0"), WORDS)

    async def test_unknown_model(self):
        with self.assertLogs("kserve", "ERROR"), self.assertRaises(grpc.RpcError) as raised:
            await self.client.infer(request("missing", (A, B), "INT32"))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)


class KServeGrpcOnTheHttpPortTest(KServeGrpcTest):
    address = HTTP


if __name__ == "__main__":
    unittest.main()
