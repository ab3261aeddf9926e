"""The client as people make it, a service of each test's own, and a record of which methods were called."""

import functools
import importlib.metadata
import inspect
import json
import os
import time
import uuid

import pytest
from oscar_python._providers._minio import Minio
from oscar_python.client import Client
from oscar_python.client_anon import AnonymousClient
from oscar_python.storage import Storage

ENDPOINT = os.environ["SPILLWAY_API"]
USER = os.environ["SPILLWAY_USER"]
PASSWORD = os.environ["SPILLWAY_PASSWORD"]
IMAGE = os.environ["SPILLWAY_IMAGE"]
GENERATION = int(importlib.metadata.version("oscar-python").split(".")[0])
PATIENCE = 90

KINDS = [Client, AnonymousClient, Storage, Minio]
called = set()


def public(kind):
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def watched(kind, name):
    method = getattr(kind, name)

    @functools.wraps(method)
    def call(*arguments, **named):
        called.add(f"{kind.__name__}.{name}")
        return method(*arguments, **named)

    return call


for kind in KINDS:
    for name in public(kind):
        setattr(kind, name, watched(kind, name))


def pytest_collection_modifyitems(config, items):
    """What only one generation can is run with that one; the test of completeness comes last."""
    newer = pytest.mark.skip(reason="the 1.3 line has no such method")
    for item in items:
        if GENERATION < 2 and item.get_closest_marker("newer"):
            item.add_marker(newer)
    items.sort(key=lambda item: item.name == "test_every_public_method_was_called")


def pytest_configure(config):
    config.addinivalue_line("markers", "newer: needs the 2.x line of the client")


def options(**changes):
    return {"cluster_id": "edge", "endpoint": ENDPOINT, "user": USER, "password": PASSWORD, "ssl": False} | changes


def definition(name, script="cat \"$INPUT_FILE_PATH\"", **members):
    return {
        "name": name,
        "image": IMAGE,
        "script": f"#!/bin/sh\n{script}\n",
        "cpu": "0.1",
        "memory": "64Mi",
        "log_level": "CRITICAL",
        "input": [{"storage_provider": "minio.default", "path": f"{name}/in"}],
        "output": [{"storage_provider": "minio.default", "path": f"{name}/out"}],
    } | members


@pytest.fixture
def client():
    return Client(options=options())


@pytest.fixture
def anonymous():
    return AnonymousClient({"cluster_id": "edge", "endpoint": ENDPOINT, "ssl": False})


@pytest.fixture
def name(client):
    name = f"py{GENERATION}-{uuid.uuid4().hex[:10]}"
    yield name
    if any(service["name"] == name for service in client.list_services().json()):
        client.remove_service(name)


@pytest.fixture
def service(client, name):
    assert client.create_service(definition(name)).status_code == 201
    return name


def eventually(look, what):
    """Asks until the answer is not empty; the answer."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)
    return answer


def ended(client, service, count=1):
    """The service's jobs, once there are so many and all have ended."""

    def look():
        jobs = json.loads(client.list_jobs(service).text)["jobs"]
        done = [job for job in jobs.values() if job["status"] in ("Succeeded", "Failed")]
        return jobs if len(done) == len(jobs) and len(jobs) >= count else None

    return eventually(look, f"{count} jobs of {service} that have ended")
