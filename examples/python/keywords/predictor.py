"""The words that say most about each text; needs nothing but Python."""

import json
import math
import os
import re


class Predictor:
    def __init__(self):
        # How common words are, learned elsewhere: a file of the model's.
        with open(os.path.join(os.environ["MODEL_FILES_PATH"], "commonness.json")) as file:
            self.commonness = json.load(file)

    def predict(self, inputs):
        return [self.keywords(row["text"], row.get("top", 3)) for row in inputs]

    def keywords(self, text, top):
        words = re.findall(r"[a-z]+", text.lower())
        scores = {}
        for word in words:
            rarity = math.log(1.0 / self.commonness.get(word, 1e-6))
            scores[word] = scores.get(word, 0.0) + rarity / len(words)
        best = sorted(scores, key=lambda word: (-scores[word], word))[:top]
        return [{"word": word, "score": round(scores[word], 3)} for word in best]
