"""The cluster's object store, as `boto3` and `minio` reach it."""

import os
import uuid

import boto3
import minio
import pytest
import requests
from botocore.config import Config

ENDPOINT = os.environ["SPILLWAY_S3"]
ACCESS_KEY = os.environ["SPILLWAY_USER"]
SECRET_KEY = os.environ["SPILLWAY_PASSWORD"]


@pytest.fixture(scope="session")
def s3():
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="session")
def mc():
    return minio.Minio(ENDPOINT.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)


@pytest.fixture
def bucket(s3):
    """A bucket that is gone after the test, with all that is in it."""
    name = f"life-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        if keys := [{"Key": entry["Key"]} for entry in page.get("Contents", [])]:
            s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def service():
    """A service that notifications can name."""
    name = f"life-{uuid.uuid4().hex[:12]}"
    api = {"auth": (ACCESS_KEY, SECRET_KEY), "timeout": 20}
    services = os.environ["SPILLWAY_API"] + "/system/services"
    definition = {"name": name, "image": "registry.example.org/none:1", "script": "true"}
    requests.post(services, json=definition, **api).raise_for_status()
    yield name
    requests.delete(f"{services}/{name}", **api).raise_for_status()
