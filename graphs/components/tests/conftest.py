from __future__ import annotations

import shutil
import subprocess
import time

import pytest
import redis
from microservice import Microservice, free_port


@pytest.fixture
def start(tmp_path):
    """Starts components and kills them at the end."""
    running = []

    def begin(component, service, **options):
        running.append(Microservice(tmp_path, component, service, **options))
        return running[-1].ready()

    yield begin
    for each in running:
        each.kill()


class RedisServer:
    def __init__(self, folder):
        self.port, self.folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port, decode_responses=True)
        self.begin()

    def begin(self):
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
        ]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def end(self):
        self.process.terminate()
        self.process.wait(10)

    def counts(self, unit="node"):
        return {
            k: float(v) for k, v in self.client.hgetall(f"fairtrial:router:{{trial:main:{unit}}}").items()
        }


@pytest.fixture
def redis_server(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install it")
    server = RedisServer(tmp_path)
    yield server
    server.client.close()
    if server.process.poll() is None:
        server.end()
