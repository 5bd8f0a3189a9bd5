"""Reads handwritten digits of 8 x 8 points with PyTorch: `pip install torch`, in the Python that runs this."""

import os

import torch


class Predictor:
    def __init__(self):
        path = os.path.join(os.environ["MODEL_FILES_PATH"], "model.pt")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = torch.jit.load(path, map_location=self.device).eval()

    def predict(self, inputs):
        # Lists to a tensor, the network, and what clients want to know of its result.
        pixels = torch.tensor(inputs, dtype=torch.float32, device=self.device)
        with torch.inference_mode():
            probabilities = torch.softmax(self.model(pixels), dim=1)
        best, digits = probabilities.max(dim=1)
        return [
            {"digit": digit, "probability": round(probability, 3)}
            for digit, probability in zip(digits.tolist(), best.tolist())
        ]
