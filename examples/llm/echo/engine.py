"""The smallest engine that speaks the form of OpenAI's API: it says what it was told, word by word.

Stands in for vLLM where there is no GPU; needs nothing but Python.
"""

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

arguments = argparse.ArgumentParser()
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--port", type=int, default=8000)
arguments.add_argument("--name", default="llm")
options = arguments.parse_args()


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {})
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": options.name, "object": "model", "created": 0, "owned_by": "me"}]})
        else:
            self.answer(404, {"error": {"message": "no such path", "type": "NotFoundError", "code": 404}})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self.answer(404, {"error": {"message": "no such path", "type": "NotFoundError", "code": 404}})
            return
        said = request["messages"][-1]["content"]
        words = [word if i == 0 else " " + word for i, word in enumerate(said.split(" "))]
        usage = {"prompt_tokens": len(words), "completion_tokens": len(words), "total_tokens": 2 * len(words)}
        if request.get("stream"):
            self.stream(words, usage if (request.get("stream_options") or {}).get("include_usage") else None)
            return
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.answer(200, dict(self.head("chat.completion"), choices=[choice], usage=usage))

    def head(self, kind):
        return {"id": "chatcmpl-1", "object": kind, "created": int(time.time()), "model": options.name}

    def stream(self, words, usage):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, word in enumerate([*words, None]):
            delta = {} if word is None else {"content": word}
            if number == 0:
                delta["role"] = "assistant"
            choice = {"index": 0, "delta": delta, "finish_reason": "stop" if word is None else None}
            self.event(json.dumps(dict(self.head("chat.completion.chunk"), choices=[choice])))
            time.sleep(0.05)
        if usage:
            self.event(json.dumps(dict(self.head("chat.completion.chunk"), choices=[], usage=usage)))
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, data):
        text = b"data: %s\n\n" % data.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, text, *values):
        pass


print("listening on port %d as %s" % (options.port, options.name), flush=True)
ThreadingHTTPServer((options.host, options.port), Engine).serve_forever()
