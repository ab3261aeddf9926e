"""What several tests share."""

import contextlib

import pytest
from botocore.exceptions import ClientError


@contextlib.contextmanager
def refused(status, code):
    """The client is told exactly this."""
    with pytest.raises(ClientError) as caught:
        yield caught
    answer = caught.value.response
    seen = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
    assert seen == (status, code), answer


def keys(s3, bucket, **arguments):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **arguments)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def body(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()
