"""The life of a bucket with boto3."""

import json
import uuid

import pytest
import requests
from botocore.exceptions import ClientError
from conftest import ENDPOINT


def refused(status, code, call, **arguments):
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    answer = refusal.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code), answer


def test_a_bucket_is_made_found_and_unmade(s3):
    name = f"life-{uuid.uuid4().hex[:12]}"
    refused(404, "404", s3.head_bucket, Bucket=name)
    s3.create_bucket(Bucket=name)
    assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert name in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=name)
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    refused(404, "NoSuchBucket", s3.list_objects_v2, Bucket=name)


def test_versions_are_said_not_to_be_kept(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    s3.put_object(Bucket=bucket, Key="k", Body=b"22")
    [version] = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert (version["Key"], version["VersionId"], version["IsLatest"], version["Size"]) == ("k", "null", True, 2)
    refused(
        501, "NotImplemented", s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def test_tags_of_a_bucket_stand_beside_those_of_the_server(s3, bucket):
    def tags():
        return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}

    own = tags()
    assert own["owner"] == "oscar"
    mine = {"site": "north gate", "ñ": "ü"}
    both = [{"Key": key, "Value": value} for key, value in (own | mine).items()]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": both})
    assert tags() == own | mine
    s3.delete_bucket_tagging(Bucket=bucket)
    assert tags() == own


def test_a_policy_is_another_way_to_say_a_visibility(s3, bucket):
    def policy(principal):
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        allow = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions, "Resource": resources}
        return json.dumps({"Version": "2012-10-17", "Statement": [allow]})

    refused(404, "NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    ada = "arn:aws:iam:::user/ada"
    s3.put_bucket_policy(Bucket=bucket, Policy=policy([ada]))
    [statement] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert statement["Principal"] == {"AWS": [ada]}
    s3.delete_bucket_policy(Bucket=bucket)
    refused(404, "NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    # Nobody comes in without a key.
    refused(403, "AccessDenied", s3.put_bucket_policy, Bucket=bucket, Policy=policy("*"))
    refused(400, "MalformedPolicy", s3.put_bucket_policy, Bucket=bucket, Policy="{}")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert requests.get(f"{ENDPOINT}/{bucket}/k", timeout=20).status_code == 403


def test_pages_of_other_origins(s3, bucket):
    rule = {"AllowedOrigins": ["https://farm.example"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    [seen] = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    assert (seen["AllowedOrigins"], sorted(seen["AllowedMethods"])) == (["https://farm.example"], ["GET", "PUT"])
    headers = {"Origin": "https://farm.example", "Access-Control-Request-Method": "PUT"}
    asked = requests.options(f"{ENDPOINT}/{bucket}/k", headers=headers, timeout=20)
    assert asked.headers["Access-Control-Allow-Origin"] in ("*", "https://farm.example")
    s3.delete_bucket_cors(Bucket=bucket)
    refused(404, "NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=bucket)


def test_notifications_are_written_and_read(s3, bucket, service):
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    queue = {
        "Id": "new-pictures",
        "QueueArn": f"arn:minio:sqs:us-east-1:{service}:webhook",
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    [seen] = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert (seen["Id"], seen["QueueArn"], sorted(seen["Events"])) == (queue["Id"], queue["QueueArn"], queue["Events"])
    [rule] = seen["Filter"]["Key"]["FilterRules"]
    assert (rule["Name"].lower(), rule["Value"]) == ("prefix", "in/")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
