import pytest

KEYS = ["a", "a/1", "a/2", "a/b/3", "b b/ü", "c", "d/4", "é", "é/5"]


@pytest.fixture
def filled(s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def listing(s3, version, size=1000, **arguments):
    operation = "list_objects_v2" if version == 2 else "list_objects"
    pages = s3.get_paginator(operation).paginate(**arguments, PaginationConfig={"PageSize": size})
    found, prefixes = [], []
    for page in pages:
        entries = page.get("Contents", []), page.get("CommonPrefixes", [])
        assert len(entries[0]) + len(entries[1]) <= size
        if version == 2:
            assert page["KeyCount"] == len(entries[0]) + len(entries[1])
        found += [entry["Key"] for entry in entries[0]]
        prefixes += [entry["Prefix"] for entry in entries[1]]
    return found, prefixes


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_any_size_add_up(s3, filled, version, size):
    def pages(**arguments):
        return listing(s3, version, size, Bucket=filled, **arguments)

    assert pages() == (KEYS, [])
    assert pages(Delimiter="/") == (["a", "c", "é"], ["a/", "b b/", "d/", "é/"])
    assert pages(Prefix="a/", Delimiter="/") == (["a/1", "a/2"], ["a/b/"])
    assert pages(Prefix="a") == (["a", "a/1", "a/2", "a/b/3"], [])
    assert pages(Prefix="é", Delimiter="/") == (["é"], ["é/"])
    assert pages(Prefix="none") == ([], [])


def test_start_after_marker_and_zero_keys(s3, filled):
    after = s3.list_objects_v2(Bucket=filled, StartAfter="a/2")
    assert [entry["Key"] for entry in after["Contents"]] == KEYS[3:]
    marked = s3.list_objects(Bucket=filled, Marker="c", MaxKeys=1)
    assert ([entry["Key"] for entry in marked["Contents"]], marked["IsTruncated"]) == (["d/4"], True)
    none = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)


def test_entries_tell_what_there_is(s3, mc, filled):
    etag = s3.head_object(Bucket=filled, Key="b b/ü")["ETag"]
    [entry] = s3.list_objects_v2(Bucket=filled, Prefix="b b/", FetchOwner=True)["Contents"]
    assert (entry["Key"], entry["Size"], entry["ETag"], entry["StorageClass"]) == ("b b/ü", 6, etag, "STANDARD")
    assert entry["Owner"]["ID"]
    assert [entry.object_name for entry in mc.list_objects(filled)] == ["a", "c", "é", "a/", "b b/", "d/", "é/"] or sorted(
        entry.object_name for entry in mc.list_objects(filled)
    ) == ["a", "a/", "b b/", "c", "d/", "é", "é/"]
    assert [entry.object_name for entry in mc.list_objects(filled, prefix="a/", recursive=True)] == ["a/1", "a/2", "a/b/3"]


def test_keys_that_xml_cannot_carry_are_listed_encoded(s3, bucket):
    keys = ["control\x01char", "new\nline", "percent%41", "plus+plus"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert listing(s3, 1, Bucket=bucket)[0] == keys
    assert listing(s3, 2, Bucket=bucket)[0] == keys


def test_a_token_of_somebody_else_is_refused(s3, bucket):
    from helpers import refused

    with refused(400, "InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="***")
