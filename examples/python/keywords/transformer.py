"""Lets clients send plain texts, and gives them plain words."""


class Transformer:
    def preprocess(self, inputs):
        rows = inputs["instances"] if "instances" in inputs else inputs["inputs"]
        return {"instances": [row if isinstance(row, dict) else {"text": row} for row in rows]}

    def postprocess(self, outputs):
        return [[found["word"] for found in row] for row in outputs]
