"""The inference log as Hopsworks' readers see it: Kafka and Avro clients, as published."""

import io
import json
import os
import unittest
import urllib.error
import urllib.request

import fastavro
import kafka

URL = f"http://{os.environ['SERVED_HTTP']}"
ONES = [1] * 16


def post(path, body):
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {"X-Request-Id": "v1-id"})
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


class LogTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tensors = [{"name": f"INPUT{n}", "datatype": "INT32", "shape": [1, 16], "data": ONES} for n in range(2)]
        # The model's name is the deployment's.
        assert post("/v2/models/fraud/infer", {"id": "v2-id", "inputs": tensors}) == 200
        assert post("/v1/models/fraud:predict", {"instances": [{"INPUT0": ONES, "INPUT1": ONES}]}) == 200
        assert post("/v2/models/fraud/infer", {"id": "bad", "inputs": tensors[:1]}) == 400
        with open(os.environ["LOG_SCHEMA"]) as file:
            schema = fastavro.parse_schema(json.load(file))
        consumer = kafka.KafkaConsumer(
            "log",
            bootstrap_servers=os.environ["LOG_BROKER"],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            consumer_timeout_ms=20000,
        )
        cls.messages = []
        for message in consumer:
            cls.messages.append(message)
            if len(cls.messages) == 6:
                break
        consumer.close()
        cls.records = [fastavro.schemaless_reader(io.BytesIO(m.value), schema) for m in cls.messages]

    def record(self, inference, side):
        return next(r for r in self.records if (r["inferenceId"], r["messageType"]) == (inference, side))

    def test_every_side_is_there(self):
        self.assertEqual(len(self.records), 6)
        for record in self.records:
            self.assertEqual(record["servingId"], 12)
            self.assertEqual(record["modelName"], "registered")
            self.assertEqual(record["modelVersion"], 7)
            self.assertGreater(record["requestTimestamp"], 1_600_000_000_000)

    def test_values_have_no_key_and_no_registry_header(self):
        for message in self.messages:
            self.assertIsNone(message.key)
            self.assertEqual(dict(message.headers)["millrace-model"], b"fraud")

    def test_v2(self):
        request = self.record("v2-id", "request")
        self.assertEqual(request["responseHttpCode"], 0)
        self.assertEqual(json.loads(request["payload"])["inputs"][1]["data"], ONES)
        response = self.record("v2-id", "response")
        self.assertEqual(response["responseHttpCode"], 200)
        self.assertEqual(json.loads(response["payload"])["outputs"][0]["data"], [2] * 16)

    def test_v1(self):
        request = self.record("v1-id", "request")
        self.assertEqual(json.loads(request["payload"])["instances"], [{"INPUT0": ONES, "INPUT1": ONES}])
        response = self.record("v1-id", "response")
        self.assertEqual(json.loads(response["payload"])["predictions"][0]["OUTPUT1"], [0] * 16)

    def test_failure(self):
        response = self.record("bad", "response")
        self.assertEqual(response["responseHttpCode"], 400)
        self.assertIn("INPUT1", json.loads(response["payload"])["error"])


if __name__ == "__main__":
    unittest.main()
