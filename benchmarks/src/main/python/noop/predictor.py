"""Gives rows back: the same script for Millrace and for KServe's Python server."""

from kserve import Model, ModelServer


class Noop(Model):
    def __init__(self, name):
        super().__init__(name)
        self.load()

    def load(self):
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": payload["instances"]}


if __name__ == "__main__":
    ModelServer().start([Noop("noop")])
