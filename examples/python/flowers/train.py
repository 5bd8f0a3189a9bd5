"""Trains a classifier of the iris flowers that scikit-learn has: python3 train.py"""

import os

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

flowers = load_iris()
model = LogisticRegression(max_iter=1000).fit(flowers.data, flowers.target)
joblib.dump(model, os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.joblib"))
print("right for %.0f %%" % (100 * model.score(flowers.data, flowers.target)))
