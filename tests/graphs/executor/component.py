"""A component that speaks Seldon's protocol: what `seldon-core-microservice` answers, in 60 lines.

`component.py KIND`, with its port in PREDICTIVE_UNIT_SERVICE_PORT. It writes each call to CALLS (a file), if
set. KIND is `add` (1 to each number), `mean`, `route:N`, `fail` (400), `slow:SECONDS`, or `die` (at a call).
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KIND, _, OPTION = sys.argv[1].partition(":")


def data(values: Any) -> dict[str, Any]:
    return {"meta": {}, "data": {"ndarray": values}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: two would wait 40 ms for each other

    def do_GET(self) -> None:
        self.reply(200, {"name": os.environ["PREDICTIVE_UNIT_ID"], "path": self.path})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.note(body)
        if KIND == "die":
            os._exit(7)
        if KIND == "slow":
            time.sleep(float(OPTION))
        if KIND == "fail":
            self.reply(400, {"status": {"code": 400, "info": "<no>", "status": "FAILURE"}})
        elif self.path == "/route":
            self.reply(200, data([[int(OPTION)]]))
        elif self.path == "/aggregate":
            rows = [message["data"]["ndarray"][0] for message in body]
            self.reply(200, data([[sum(column) / len(rows) for column in zip(*rows, strict=True)]]))
        elif self.path == "/send-feedback":
            self.reply(200, {"meta": {}, "data": {"tensor": {"shape": [0]}}})
        elif "inputs" in body:  # V2
            outputs = [{**one, "data": [x + 1 for x in one["data"]]} for one in body["inputs"]]
            self.reply(200, {"model_name": os.environ["PREDICTIVE_UNIT_ID"], "outputs": outputs})
        else:
            self.reply(200, data([[x + 1 for x in row] for row in body["data"]["ndarray"]]))

    def note(self, body: Any) -> None:
        if "CALLS" in os.environ:
            call = {
                "node": os.environ["PREDICTIVE_UNIT_ID"],
                "path": self.path,
                "puid": self.headers["Seldon-Puid"],
                "header": self.headers["x-mine"],
                "body": body,
                "parameters": os.environ.get("PREDICTIVE_UNIT_PARAMETERS"),
            }
            with open(os.environ["CALLS"], "a") as file:
                file.write(json.dumps(call) + "\n")

    def reply(self, status: int, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(os.environ["PREDICTIVE_UNIT_SERVICE_PORT"])), Handler).serve_forever()
