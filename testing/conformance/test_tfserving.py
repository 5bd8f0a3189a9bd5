"""TF Serving's Python client, as published, and its REST API by httpx."""

import sys
import types
import unittest

import grpc
import httpx
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool

from served import A, B, DIGITS, GRPC, HALF, HTTP, PIXELS, SIMPLE, STRING, X, Y, ServedTest, as_strings


def supply_error_codes():
    """The one file of TensorFlow's messages that tensorflow-protobuf has in another place."""
    codes = "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED"
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow/core/protobuf/error_codes.proto", package="tensorflow.error", syntax="proto3"
    )
    enum = file.enum_type.add(name="Code")
    for number, name in enumerate(codes.split()):
        enum.value.add(name=name, number=number)
    descriptor_pool.Default().Add(file)
    module = types.ModuleType("tensorflow.core.protobuf.error_codes_pb2")
    module.xla = types.SimpleNamespace()
    module.xla.tsl = types.SimpleNamespace(protobuf=types.SimpleNamespace(error_codes_pb2=module))
    sys.modules[module.__name__] = module
    import tensorflow.core.protobuf

    tensorflow.core.protobuf.error_codes_pb2 = module


supply_error_codes()

from tensorflow.core.example import example_pb2  # noqa: E402
from tensorflow.core.framework import types_pb2  # noqa: E402
from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

URL = f"http://{HTTP}/v1/models"


def predict_request(model, content=False):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name, array in (("INPUT0", A), ("INPUT1", B)):
        tensor = request.inputs[name]
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        if model == STRING:
            tensor.dtype = types_pb2.DT_STRING
            tensor.string_val.extend(as_strings(array).flatten().tolist())
        else:
            tensor.dtype = types_pb2.DT_INT32
            if content:
                tensor.tensor_content = array.tobytes()
            else:
                tensor.int_val.extend(array.flatten().tolist())
    return request


def floats_request(model, name, array):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    tensor = request.inputs[name]
    tensor.dtype = types_pb2.DT_FLOAT
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend(array.flatten().tolist())
    return request


def examples_of(request, signature):
    """Fills a request in with the values of X as examples, for a signature."""
    request.model_spec.name = HALF
    request.model_spec.signature_name = signature
    add_examples(request)
    return request


def add_examples(request):
    for x in X:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(x)


def output_of(response):
    def output(name):
        tensor = response.outputs[name]
        values = [int(text) for text in tensor.string_val] or list(tensor.int_val)
        return np.array(values, dtype=np.int32).reshape([dim.size for dim in tensor.tensor_shape.dim])

    return output


class TensorFlowServingGrpcTest(ServedTest):
    def setUp(self):
        self.channel = grpc.insecure_channel(GRPC)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def tearDown(self):
        self.channel.close()

    def test_predict(self):
        for model, content in ((SIMPLE, False), (SIMPLE, True), (STRING, False)):
            with self.subTest(model=model, content=content):
                response = self.predictions.Predict(predict_request(model, content), timeout=30)
                self.assertSumAndDifference(output_of(response))
                self.assertEqual(response.model_spec.version.value, 1)
                self.assertEqual(response.model_spec.signature_name, "serving_default")

    def test_tensorflow_and_pytorch(self):
        half = self.predictions.Predict(floats_request(HALF, "x", X), timeout=30)
        self.assertEqual(list(half.outputs["y"].float_val), Y.tolist())
        digits = self.predictions.Predict(floats_request(DIGITS, "pixels", PIXELS), timeout=30)
        self.assertLogits(list(digits.outputs["logits"].float_val))

    def test_signatures(self):
        classified = self.predictions.Classify(
            examples_of(classification_pb2.ClassificationRequest(), "classify_x_to_y"), timeout=30
        )
        self.assertEqual([each.classes[0].score for each in classified.result.classifications], Y.tolist())
        regressed = self.predictions.Regress(
            examples_of(regression_pb2.RegressionRequest(), "regress_x_to_y"), timeout=30
        )
        self.assertEqual([each.value for each in regressed.result.regressions], Y.tolist())

    def test_several_signatures_at_once(self):
        request = inference_pb2.MultiInferenceRequest()
        for signature, method in (("regress_x_to_y", "regress"), ("classify_x_to_y", "classify")):
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            task.model_spec.name = HALF
            task.model_spec.signature_name = signature
        add_examples(request)
        regressed, classified = self.predictions.MultiInference(request, timeout=30).results
        self.assertEqual([each.value for each in regressed.regression_result.regressions], Y.tolist())
        scores = [each.classes[0].score for each in classified.classification_result.classifications]
        self.assertEqual(scores, Y.tolist())

    def test_metadata_of_all_signatures(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = HALF
        signatures = get_model_metadata_pb2.SignatureDefMap()
        self.assertTrue(
            self.predictions.GetModelMetadata(request, timeout=30).metadata["signature_def"].Unpack(signatures)
        )
        methods = {name: each.method_name for name, each in signatures.signature_def.items()}
        self.assertEqual(
            methods,
            {
                "serving_default": "tensorflow/serving/predict",
                "classify_x_to_y": "tensorflow/serving/classify",
                "regress_x_to_y": "tensorflow/serving/regress",
            },
        )
        self.assertEqual(signatures.signature_def["classify_x_to_y"].inputs["inputs"].name, "tf_example:0")

    def test_unknown_signature(self):
        request = floats_request(HALF, "x", X)
        request.model_spec.signature_name = "nothing"
        with self.assertRaises(grpc.RpcError) as raised:
            self.predictions.Predict(request, timeout=30)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)

    def test_output_filter(self):
        request = predict_request(SIMPLE)
        request.output_filter.append("OUTPUT1")
        self.assertEqual(list(self.predictions.Predict(request, timeout=30).outputs), ["OUTPUT1"])

    def test_metadata(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = SIMPLE
        response = self.predictions.GetModelMetadata(request, timeout=30)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        self.assertTrue(response.metadata["signature_def"].Unpack(signatures))
        signature = signatures.signature_def["serving_default"]
        self.assertEqual(signature.method_name, "tensorflow/serving/predict")
        self.assertEqual([dim.size for dim in signature.inputs["INPUT0"].tensor_shape.dim], [-1, 16])
        self.assertEqual(signature.inputs["INPUT0"].dtype, types_pb2.DT_INT32)

    def test_status(self):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = SIMPLE
        (version,) = self.models.GetModelStatus(request, timeout=30).model_version_status
        self.assertEqual(version.version, 1)
        self.assertEqual(version.state, get_model_status_pb2.ModelVersionStatus.AVAILABLE)

    def test_examples_that_are_no_classification(self):
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name = SIMPLE
        example = example_pb2.Example()
        for name in ("INPUT0", "INPUT1"):
            example.features.feature[name].int64_list.value.extend(range(16))
        request.input.example_list.examples.append(example)
        with self.assertRaises(grpc.RpcError) as raised:
            self.predictions.Classify(request, timeout=30)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_unknown_model(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.predictions.Predict(predict_request("half"), timeout=30)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(raised.exception.details(), "Servable not found for request: Latest(half)")


class TensorFlowServingRestTest(ServedTest):
    def post(self, model, body, verb="predict"):
        return httpx.post(f"{URL}/{model}:{verb}", json=body, timeout=30)

    def test_tensorflow_and_pytorch(self):
        self.assertEqual(self.post(HALF, {"instances": [1.0, 2.0, 5.0]}).json(), {"predictions": Y.tolist()})
        self.assertEqual(self.post(HALF, {"inputs": X.tolist()}).json(), {"outputs": Y.tolist()})
        self.assertLogits(self.post(DIGITS, {"instances": PIXELS.tolist()}).json()["predictions"])

    def test_signatures(self):
        examples = [{"x": float(x)} for x in X]
        classify = {"signature_name": "classify_x_to_y", "examples": examples}
        self.assertEqual(
            self.post(HALF, classify, "classify").json(), {"results": [[["0", score]] for score in Y.tolist()]}
        )
        regress = {"signature_name": "regress_x_to_y", "examples": examples}
        self.assertEqual(self.post(HALF, regress, "regress").json(), {"results": Y.tolist()})

    def test_rows(self):
        rows = {"instances": [{"INPUT0": A[0].tolist(), "INPUT1": B[0].tolist()}] * 2}
        predictions = self.post(SIMPLE, rows).json()["predictions"]
        self.assertEqual(len(predictions), 2)
        self.assertSumAndDifference(lambda name: [predictions[1][name]])

    def test_columns(self):
        outputs = self.post(SIMPLE, {"inputs": {"INPUT0": A.tolist(), "INPUT1": B.tolist()}}).json()["outputs"]
        self.assertSumAndDifference(outputs.get)

    def test_strings(self):
        columns = {
            "INPUT0": [[str(n) for n in A[0]]],
            "INPUT1": [[{"b64": "Mw=="} for _ in B[0]]],
        }
        outputs = self.post(STRING, {"inputs": columns}).json()["outputs"]
        self.assertSumAndDifference(lambda name: np.array(outputs[name], dtype=np.int32))

    def test_state_and_metadata(self):
        state = httpx.get(f"{URL}/{SIMPLE}", timeout=30).json()
        self.assertEqual(state["model_version_status"][0]["state"], "AVAILABLE")
        self.assertIs(state["ready"], True)
        metadata = httpx.get(f"{URL}/{SIMPLE}/metadata", timeout=30).json()["metadata"]
        self.assertIn("INPUT0", metadata["signature_def"]["signature_def"]["serving_default"]["inputs"])
        self.assertIn(SIMPLE, httpx.get(URL, timeout=30).json()["models"])

    def test_unknown_model(self):
        answer = self.post("half", {"instances": [1]})
        self.assertEqual(answer.status_code, 404)
        self.assertEqual(answer.json(), {"error": "Servable not found for request: Latest(half)"})


if __name__ == "__main__":
    unittest.main()
