import io
import queue
import threading
import urllib.parse

import pytest
from conftest import ENDPOINT, client
from helpers import refused
from minio.error import S3Error


class Ear:
    """Listens with minio's own client, in a thread."""

    def __init__(self, events):
        self.heard = queue.Queue()
        self.events = events
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            for event in self.events:
                self.heard.put(event)
        except Exception as error:  # noqa: BLE001 - the test looks at it.
            self.heard.put(error)

    def next(self):
        return self.heard.get(timeout=30)


def wait_until_heard(ear, mc, bucket):
    """Puts until the listener is there: nothing says when its request has arrived."""
    for _ in range(100):
        mc.put_object(bucket, "in/ready.txt", io.BytesIO(b""), 0)
        try:
            return ear.heard.get(timeout=0.2)
        except queue.Empty:
            pass
    raise AssertionError("the listener heard nothing")


def test_minio_listens_to_a_bucket(mc, bucket):
    with mc.listen_bucket_notification(
        bucket, prefix="in/", suffix=".txt", events=("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    ) as events:
        ear = Ear(events)
        wait_until_heard(ear, mc, bucket)
        mc.put_object(bucket, "in/other.jpg", io.BytesIO(b"x"), 1)
        mc.put_object(bucket, "out/a.txt", io.BytesIO(b"x"), 1)
        mc.put_object(bucket, "in/a b.txt", io.BytesIO(b"xyz"), 3, content_type="text/x")
        while True:
            (record,) = ear.next()["Records"]
            if record["s3"]["object"]["key"] != "in%2Fready.txt":
                break
        assert (record["eventName"], record["s3"]["bucket"]["name"]) == ("s3:ObjectCreated:Put", bucket)
        found = record["s3"]["object"]
        assert (urllib.parse.unquote_plus(found["key"]), found["size"], found["contentType"]) == ("in/a b.txt", 3, "text/x")
        mc.remove_object(bucket, "in/a b.txt")
        (record,) = ear.next()["Records"]
        assert record["eventName"] == "s3:ObjectRemoved:Delete"


def test_only_who_may_read_may_listen(mc, bucket):
    import minio

    stranger = minio.Minio(ENDPOINT.removeprefix("http://"), "nobody", "x" * 8, secure=False, region="r")
    with pytest.raises(S3Error) as caught, stranger.listen_bucket_notification(bucket) as events:
        next(iter(events))
    assert caught.value.code == "InvalidAccessKeyId"
    with pytest.raises(OSError):
        import urllib.request

        urllib.request.urlopen(f"{ENDPOINT}/{bucket}?events=s3:ObjectCreated:*", timeout=30)


def test_a_target_that_is_no_service_is_refused(s3, bucket):
    def put(arn, events=("s3:ObjectCreated:*",)):
        rule = {"QueueArn": arn, "Events": list(events)}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]})

    for arn in ["arn:minio:sqs:us-east-1:none:webhook", "arn:aws:sqs:us-east-1:1:queue", "none"]:
        with refused(400, "InvalidArgument"):
            put(arn)
    with refused(400, "InvalidArgument"):
        put("arn:minio:sqs:us-east-1:none:webhook", ["s3:ObjectAccessed:Get"])
    with refused(400, "InvalidArgument"):
        topic = {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:a:b:c", "Events": ["s3:ObjectCreated:*"]}]}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=topic)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    with refused(404, "NoSuchBucket"):
        client().get_bucket_notification_configuration(Bucket="there-is-none")
