import os
import subprocess
import sys

from conftest import ACCESS_KEY, ENDPOINT, SECRET_KEY
from helpers import body, keys


def aws(*arguments):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = os.path.join(os.path.dirname(sys.executable), "aws")
    done = subprocess.run(
        [sys.executable, command, "--endpoint-url", ENDPOINT, "s3", *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_aws_command_copies_lists_synchronises_and_removes(s3, tmp_path):
    bucket = f"s3://aws-{os.getpid()}"
    folder = tmp_path / "folder"
    (folder / "sub folder").mkdir(parents=True)
    (folder / "one").write_bytes(b"1")
    (folder / "sub folder" / "zwö").write_bytes(os.urandom(9_000_000))
    aws("mb", bucket)
    aws("cp", str(folder / "one"), f"{bucket}/copied")
    assert "copied" in aws("ls", bucket)
    aws("sync", str(folder), f"{bucket}/tree")
    assert keys(s3, bucket[5:]) == ["copied", "tree/one", "tree/sub folder/zwö"]
    aws("sync", f"{bucket}/tree", str(tmp_path / "back"))
    assert (tmp_path / "back/sub folder/zwö").read_bytes() == (folder / "sub folder/zwö").read_bytes()
    aws("mv", f"{bucket}/copied", f"{bucket}/moved")
    assert body(s3, bucket[5:], "moved") == b"1"
    aws("rm", bucket, "--recursive")
    assert keys(s3, bucket[5:]) == []
    aws("rb", bucket)
