-- What each bucket holds, kept by the transactions that change its objects. A table of its own: every upload writes
-- to it, and the rows of buckets may be large.
CREATE TABLE bucket_usage (
    bucket  TEXT NOT NULL PRIMARY KEY REFERENCES buckets (name) ON DELETE CASCADE,
    objects INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO bucket_usage (bucket, objects, bytes)
SELECT name, (SELECT count(*) FROM objects WHERE bucket = name),
       (SELECT coalesce(sum(size), 0) FROM objects WHERE bucket = name)
FROM buckets;

CREATE INDEX buckets_of_owner ON buckets (owner);

-- What an owner has set for his bucket: `cors` (JSON).
CREATE TABLE bucket_documents (
    bucket   TEXT NOT NULL REFERENCES buckets (name) ON DELETE CASCADE,
    kind     TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (bucket, kind)
) STRICT, WITHOUT ROWID;

-- Checksums of a part: JSON object by header name, base64.
ALTER TABLE parts ADD COLUMN checksums TEXT NOT NULL DEFAULT '{}';

-- Triggers may name the events they listen to and how keys end; those that a service's input made, and those of the
-- bucket's notification configuration (`configured`).
CREATE TABLE triggers_with_filters (
    bucket     TEXT NOT NULL,
    prefix     TEXT NOT NULL,                 -- `folder/`
    service    TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    suffix     TEXT NOT NULL DEFAULT '',
    events     TEXT NOT NULL DEFAULT 's3:ObjectCreated:*', -- commas between them
    configured INTEGER NOT NULL DEFAULT 0,
    id         TEXT NOT NULL DEFAULT '',      -- what the configuration calls it
    PRIMARY KEY (bucket, prefix, service, suffix, events)
) STRICT, WITHOUT ROWID;

INSERT INTO triggers_with_filters (bucket, prefix, service) SELECT bucket, prefix, service FROM triggers;

DROP TABLE triggers;

ALTER TABLE triggers_with_filters RENAME TO triggers;
