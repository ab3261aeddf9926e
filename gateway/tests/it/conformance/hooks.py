"""Leads generated requests to what is there, so that they get further than 404, and counts what came back."""

import atexit
import json
import os
import threading
import zlib
from collections import Counter

import schemathesis

# What conformance.rs has put into the gateway, for requests that read and for requests that delete.
KEPT = {"name": ["grey"], "bucket": ["grey", "shelf"], "job": ["grey-done", "grey-waits", "dead-1"], "id": ["someone"]}
DOOMED = {
    "name": [f"doomed-{number}" for number in range(8)],
    "bucket": [f"pail-{number}" for number in range(8)],
    "job": [f"dead-{number}" for number in range(4, 12)],
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
    lead_path(path, method, case.path_parameters or {})
    if path.endswith("/log") and (case.query or {}).get("follow") == "true":
        # It stays open until the job ends, which is never: nobody runs jobs here.
        case.query["follow"] = "false"
    if path in ("/spillway/v1/dead-letters", "/spillway/v1/dead-letters/retry") and method != "GET":
        # Without a service these take all dead letters at once, and none is left for the others.
        query = {"service": "doomed-0", **(case.query or {})}
        case.query = {**query, "service": "doomed-0"} if query["service"] == "grey" else query
    if path == "/system/metrics/breakdown" and draw(case.query, 2):
        # A range of two generated times hardly ever makes sense.
        query = {key: value for key, value in (case.query or {}).items() if key not in ("start", "end", "include_users")}
        case.query = {**query, "group_by": "service", "format": "json"}
    if isinstance(case.body, dict):
        case.body = lead_body(path, method, case.body)


def lead_path(path, method, parameters):
    """Every other name is one that is there."""
    there = DOOMED if method == "DELETE" or path.endswith("/retry") else KEPT
    if path == "/system/logs/{name}/{job}" and method == "DELETE" and draw(parameters, 2):
        doomed = DOOMED["name"][draw((parameters, 1), 8)]
        parameters.update(name=doomed, job=f"{doomed}-job")
        return
    if path.startswith("/spillway/v1/registries/") and draw(parameters, 2):
        parameters["name"] = f"registry-{draw((parameters, 1), 8)}"
        return
    for name, value in parameters.items():
        names = there.get("job" if name == "name" and path.startswith("/spillway") else name)
        # What is to stay is never deleted, although schemathesis learns its name from answers.
        if names and (draw(value, 2) or (method == "DELETE" and value in KEPT.get(name, []))):
            parameters[name] = names[draw((value, name), len(names))]


def lead_body(path, method, body):
    if path == "/system/config" and isinstance(body.get("allowed_image_repositories"), list):
        # A list that no image is in makes every service answer 500, as OSCAR does; this is in every name.
        body["allowed_image_repositories"].append("")
    if path == "/system/services" and draw(body, 3):
        # One or two generated members only, so that the others do not hide them.
        name = "grey" if method == "PUT" and draw((body, 1), 2) else f"fuzz-{draw(body, 40)}"
        kept = sorted(body)[draw((body, 2), len(body) or 1) :][:2]
        return {**SERVICE, "name": name, **{member: body[member] for member in kept}}
    if path.endswith("/presign") and draw(body, 3):
        kept = sorted(body)[draw((body, 2), len(body) or 1) :][:2]
        return {"object_key": "in/photo.png", "operation": "upload", **{member: body[member] for member in kept}}
    if path.startswith("/spillway/v1/registries/") and draw(body, 3):
        kept = sorted(body)[draw((body, 2), len(body) or 1) :][:1]
        return {"server": "registry.example.org", "username": "ci", "password": "x", **{name: body[name] for name in kept}}
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
