"""The predictor of a model file without a script: an estimator of scikit-learn, pickled."""

import os
import pickle

from . import values


class DefaultPredictor:
    """Gives the rows to the estimator; rows that are objects become a table."""

    def __init__(self, path):
        self.model = load(path)
        probabilities = os.environ.get("PREDICT_PROBA", "false").lower() == "true"
        self.function = getattr(self.model, "predict_proba" if probabilities else "predict", None)
        if self.function is None:
            raise TypeError(
                "%s holds a %s, which has no method %s"
                % (
                    os.path.basename(path),
                    type(self.model).__name__,
                    "predict_proba" if probabilities else "predict",
                )
            )

    def predict(self, rows):
        return self.function(table(rows))


def load(path):
    if path.endswith(".joblib"):
        try:
            import joblib
        except ImportError:
            raise ImportError(
                "%s needs joblib, which comes with scikit-learn: pip install scikit-learn"
                % os.path.basename(path)
            ) from None
        return joblib.load(path)
    with open(path, "rb") as file:
        return pickle.load(file)


def table(rows):
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        try:
            import pandas
        except ImportError:
            raise values.BadValue(
                "rows that are objects need pandas, which this Python does not have", 400
            ) from None
        return pandas.DataFrame(rows)
    return rows
