"""Writes what the tests of tokenizer and pooling compare with: run in a folder with model.onnx and
tokenizer.json of all-MiniLM-L6-v2-q (examples/minilm has them after a build), as

    pip install tokenizers==0.23.3 onnxruntime==1.32.0 numpy==2.4.6
    python make_references.py examples/minilm ../resources

tokens.tsv: for each text or pair of texts, the reference tokenizer's numbers of its tokens.
similarities.tsv: for each pair of sentences, the cosine of their embeddings, each computed alone:
mean of the vectors of its tokens, in float64.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers

MODEL, OUT = Path(sys.argv[1]), Path(sys.argv[2])

PAIRS = [
    ("A mill wheel turns in the stream.", "The river drives the water wheel."),
    ("A mill wheel turns in the stream.", "I would like two cups of coffee, please."),
    ("The cat sits on the mat.", "A kitten is resting on a rug."),
    ("The cat sits on the mat.", "Stock prices fell sharply on Monday."),
    ("How do I reset my password?", "I forgot my login credentials."),
    ("How do I reset my password?", "Where can I buy a bicycle?"),
    ("Two dogs run across the field.", "Two dogs run across the field."),
    ("Berlin is the capital of Germany.", "Paris is the capital of France."),
    ("The film was wonderful.", "The film was terrible."),
    ("Il fait beau aujourd'hui.", "The weather is nice today."),
    ("naïve café résumé", "naive cafe resume"),
    ("Machine learning models need data.", "Neural networks are trained on large data sets, which people gather and label."),
]

TEXTS = [
    "A mill wheel turns in the stream.",
    "",
    "  two   spaces\tand a tab  ",
    "naïve café — “quoted”",
    "日本語のテキスト",
    "emoji 😀 and 👩‍👩‍👧",
    "antidisestablishmentarianism!!!",
    "a\x00b",
    "word " * 200,
]

TEXT_PAIRS = [("What turns the wheel?", "The water of the stream does."), ("one", "")]


def escaped(text):
    return json.dumps(text)[1:-1]


def numbers(values):
    return " ".join(map(str, values))


tokenizer = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
tokenizer.no_padding()
with open(OUT / "tokens.tsv", "w", encoding="ascii") as out:
    out.write(f"# made by make_references.py with tokenizers {tokenizers.__version__}: first, second, ids, types\n")
    for first, second in [(text, None) for text in TEXTS] + TEXT_PAIRS:
        encoding = tokenizer.encode(first, second)
        second = "-" if second is None else "=" + escaped(second)
        out.write(f"{escaped(first)}\t{second}\t{numbers(encoding.ids)}\t{numbers(encoding.type_ids)}\n")

session = onnxruntime.InferenceSession(str(MODEL / "model.onnx"), providers=["CPUExecutionProvider"])


def embedding(text):
    encoding = tokenizer.encode(text)
    inputs = {
        "input_ids": np.array([encoding.ids], np.int64),
        "attention_mask": np.array([encoding.attention_mask], np.int64),
        "token_type_ids": np.array([encoding.type_ids], np.int64),
    }
    vector = session.run(["last_hidden_state"], inputs)[0][0].astype(np.float64).mean(axis=0)
    return vector / np.linalg.norm(vector)


with open(OUT / "similarities.tsv", "w", encoding="utf-8") as out:
    out.write(
        f"# made by make_references.py with tokenizers {tokenizers.__version__}, "
        f"onnxruntime {onnxruntime.__version__}: first, second, cosine\n"
    )
    for first, second in PAIRS:
        out.write(f"{first}\t{second}\t{embedding(first) @ embedding(second):.6f}\n")
