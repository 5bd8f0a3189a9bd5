"""Names the iris flower with these four measures, in centimetres."""

import os

import joblib

NAMES = ["setosa", "versicolor", "virginica"]


class Predictor:
    def __init__(self, model):
        self.model = joblib.load(os.path.join(os.environ["MODEL_FILES_PATH"], "model.joblib"))
        print("serving", model.name, "version", model.version)

    def predict(self, inputs):
        found = self.model.predict_proba(inputs)
        return [
            {"flower": NAMES[row.argmax()], "probability": round(float(row.max()), 3)}
            for row in found
        ]
