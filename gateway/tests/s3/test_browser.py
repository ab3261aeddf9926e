import urllib.request
import uuid
import xml.etree.ElementTree

import pytest
from conftest import ENDPOINT, client
from helpers import body, keys
from test_signatures import fetch

ORIGIN = {"Origin": "http://dashboard.example"}


def headers_of(url, method, headers):
    request = urllib.request.Request(url, method=method, headers={**ORIGIN, **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}


def test_a_page_of_any_origin_may_ask_and_read_etags(s3, bucket):
    wanted = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,x-amz-date"}
    status, headers = headers_of(f"{ENDPOINT}/{bucket}/k", "OPTIONS", wanted)
    assert status == 200
    assert headers["access-control-allow-origin"] == "*"
    assert "PUT" in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == "authorization,x-amz-date"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    _, headers = headers_of(url, "GET", {})
    assert headers["access-control-allow-origin"] == "*"
    assert "etag" in headers["access-control-expose-headers"].lower()
    assert headers["etag"]


def form(url, fields, content):
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\nContent-Type: text/x\r\n\r\n')
    data = "\r\n".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return fetch(url, "POST", data, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_form_uploads_what_its_policy_allows(s3, bucket, version):
    signature = "x-amz-signature" if version == "s3v4" else "signature"
    post = client(signature_version=version).generate_presigned_post(bucket, "form/k", Conditions=[["content-length-range", 1, 1000]])
    status, _ = form(post["url"], post["fields"], b"from a form")
    assert status in (200, 201, 204)
    assert body(s3, bucket, "form/k") == b"from a form"
    status, text = form(post["url"], {**post["fields"], "key": "elsewhere"}, b"x")
    assert status == 400 and b"Policy condition" in text, text
    status, text = form(post["url"], post["fields"], b"x" * 1001)
    assert status == 400 and b"EntityTooLarge" in text
    status, text = form(post["url"], {**post["fields"], signature: "0" * 64}, b"x")
    assert status == 403, text
    status, text = form(f"{ENDPOINT}/{bucket}", {"key": "anonymous"}, b"x")
    assert status in (400, 403), text
    assert keys(s3, bucket) == ["form/k"]


def test_errors_are_xml_that_names_what_is_missing(bucket, s3):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "missing <&>"})
    status, text = fetch(url)
    error = xml.etree.ElementTree.fromstring(text)
    assert (status, error.findtext("Code")) == (404, "NoSuchKey")
    assert "missing <&>" in error.findtext("Message") and bucket in error.findtext("Message")
