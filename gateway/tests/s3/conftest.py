"""Clients and fresh buckets for the tests."""

import os
import uuid

import boto3
import minio
import pytest
from botocore.config import Config

ENDPOINT = os.environ["S3_ENDPOINT"]
ACCESS_KEY = os.environ["S3_ACCESS_KEY"]
SECRET_KEY = os.environ["S3_SECRET_KEY"]


def client(access_key=ACCESS_KEY, secret_key=SECRET_KEY, **config):
    settings = {"s3": {"addressing_style": "path"}, "retries": {"total_max_attempts": 1}, **config}
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(**settings),
    )


@pytest.fixture(scope="session")
def s3():
    return client()


@pytest.fixture(scope="session")
def mc():
    return minio.Minio(ENDPOINT.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False, region="eu-iot-1")


@pytest.fixture
def bucket(s3):
    name = f"test-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    return name
