"""Leads generated requests to what is there, so that they get further than 404, and counts what came back."""

import atexit
import json
import os
import threading
import zlib
from collections import Counter

import schemathesis

# What the test has put into the gateway.
THERE = {
    "name": ["grey", "red"],
    "bucket": ["grey", "shelf"],
    "job": ["grey-done", "grey-waits", "grey-dead"],
    "id": ["someone"],
}
SERVICE = {"name": "fuzz", "image": "example/tool:1", "script": "true"}

counted = Counter()
lock = threading.Lock()


def draw(value, sides):
    """A number below `sides`, always the same for the same value."""
    return zlib.crc32(repr(value).encode("utf-8", "backslashreplace")) % sides


@schemathesis.hook
def before_call(ctx, case, kwargs):
    path, method = case.operation.path, case.method.upper()
    lead_path(path, case.path_parameters or {})
    if path.endswith("/log") and (case.query or {}).get("follow") == "true":
        # It stays open until the job ends, which is never: nobody runs jobs here.
        case.query["follow"] = "false"
    if isinstance(case.body, dict):
        case.body = lead_body(path, method, case.body)


def lead_path(path, parameters):
    """Every other name is one that is there."""
    for name, value in parameters.items():
        there = THERE["job" if name == "name" and path.startswith("/spillway") else name] if name in THERE else []
        if there and draw(value, 2):
            parameters[name] = there[draw((value, name), len(there))]


def lead_body(path, method, body):
    if path == "/system/config" and isinstance(body.get("allowed_image_repositories"), list):
        # A list that no image is in makes every service answer 500, as OSCAR does; this is in every name.
        body["allowed_image_repositories"].append("")
    if path == "/system/services" and draw(body, 3):
        # One or two generated members only, so that the others do not hide them.
        name = "grey" if method == "PUT" and draw((body, 1), 2) else f"fuzz-{draw(body, 40)}"
        kept = sorted(body)[draw((body, 2), len(body) or 1) :][:2]
        return {**SERVICE, "name": name, **{member: body[member] for member in kept}}
    if path == "/system/buckets" and draw(body, 3):
        return {**body, "bucket_name": f"shelf-{draw(body, 40)}" if method == "POST" else "shelf"}
    return body


@schemathesis.hook
def after_call(ctx, case, response):
    with lock:
        counted[(f"{case.operation.method.upper()} {case.operation.path}", response.status_code)] += 1


@atexit.register
def write():
    rows = [[operation, status, count] for (operation, status), count in sorted(counted.items())]
    with open(os.environ["CONFORMANCE_COUNTS"], "w", encoding="utf-8") as file:
        json.dump(rows, file)
