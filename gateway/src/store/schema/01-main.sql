-- Times are milliseconds since the Unix epoch. Columns that hold JSON say so.

CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    name       TEXT NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,           -- raised by each update
    definition TEXT NOT NULL,              -- JSON of the service: script and token included, secrets blank
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    service TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (service, name)
) STRICT, WITHOUT ROWID;

-- An object created in `bucket` whose key starts with `prefix` starts a job of `service`.
CREATE TABLE triggers (
    bucket  TEXT NOT NULL,
    prefix  TEXT NOT NULL,                 -- `folder/`
    service TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    PRIMARY KEY (bucket, prefix, service)
) STRICT, WITHOUT ROWID;

CREATE TABLE buckets (
    name          TEXT NOT NULL PRIMARY KEY,
    owner         TEXT NOT NULL,           -- empty: the administrator
    visibility    TEXT NOT NULL,           -- private, restricted, public
    allowed_users TEXT NOT NULL,           -- JSON array
    tags          TEXT NOT NULL,           -- JSON object: from_service, owner_name, ...
    created_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Bytes. Small ones sit in `content`, the others in a file named by the id. A blob that nobody refers to is
-- deleted in the transaction that dropped the last reference, its file afterwards.
CREATE TABLE blobs (
    id      INTEGER PRIMARY KEY,
    size    INTEGER NOT NULL,
    refs    INTEGER NOT NULL,              -- objects, parts, pieces and unfinished or dead-lettered jobs that use it
    content BLOB                           -- last: the other columns are read without walking through it
) STRICT;

-- A blob put together from others (a multipart upload): neither content nor a file of its own.
CREATE TABLE pieces (
    blob  INTEGER NOT NULL,
    start INTEGER NOT NULL,                -- where in the blob the piece begins
    piece INTEGER NOT NULL,
    size  INTEGER NOT NULL,
    PRIMARY KEY (blob, start)
) STRICT, WITHOUT ROWID;

-- Files of deleted blobs that are still to be unlinked.
CREATE TABLE garbage (
    blob INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE objects (
    bucket       TEXT NOT NULL REFERENCES buckets (name),
    key          TEXT NOT NULL,
    blob         INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    etag         TEXT NOT NULL,            -- MD5 in hexadecimal; `-<parts>` behind it after a multipart upload
    content_type TEXT NOT NULL,
    metadata     TEXT NOT NULL,            -- JSON object by header name: `x-amz-meta-…` and the headers that S3 keeps
    modified_ms  INTEGER NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    id           TEXT NOT NULL PRIMARY KEY,
    bucket       TEXT NOT NULL REFERENCES buckets (name),
    key          TEXT NOT NULL,
    content_type TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    started_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX uploads_of_bucket ON uploads (bucket, key, id);

CREATE TABLE parts (
    upload TEXT NOT NULL REFERENCES uploads (id),
    number INTEGER NOT NULL,
    blob   INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    etag   TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,     -- in order of acceptance
    name          TEXT NOT NULL UNIQUE,    -- <service>-<uuid>
    service       TEXT NOT NULL,
    state         TEXT NOT NULL,           -- queued, leased, succeeded, dead
    priority      INTEGER NOT NULL,
    owner         TEXT NOT NULL,           -- who triggered it; empty: nobody in particular
    cause         TEXT NOT NULL,           -- JSON: what event started it, enough to write the event out again
    blob          INTEGER, -- input, until the job has succeeded
    epoch         INTEGER NOT NULL,        -- run of the gateway that accepted it
    attempt       INTEGER NOT NULL,        -- number of the newest attempt granted, 0 for none
    failures      INTEGER NOT NULL,        -- attempts that failed by the service's doing
    interruptions INTEGER NOT NULL,        -- attempts that ended for reasons of ours
    streak        INTEGER NOT NULL,        -- interruptions since an attempt last came to its own end
    node          TEXT NOT NULL,           -- of the newest attempt
    ready_ms      INTEGER NOT NULL,        -- not to be granted before
    created_ms    INTEGER NOT NULL,
    started_ms    INTEGER,
    finished_ms   INTEGER,
    reason        TEXT NOT NULL,           -- of the last failure, as `FailureReason` says it
    message       TEXT NOT NULL,           -- a sentence for the user
    report        TEXT NOT NULL            -- JSON: usage and spans of the last attempt
) STRICT;

CREATE INDEX jobs_queued ON jobs (service, priority DESC, ready_ms, id) WHERE state = 'queued';
CREATE INDEX jobs_delayed ON jobs (service, ready_ms) WHERE state = 'queued' AND ready_ms > created_ms;
CREATE INDEX jobs_leased ON jobs (id) WHERE state = 'leased';
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_of_service ON jobs (service, id);
CREATE INDEX jobs_ended ON jobs (finished_ms) WHERE finished_ms IS NOT NULL;

CREATE TABLE logs (
    job     INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,              -- length of the text
    text    TEXT NOT NULL,                 -- lines of `<RFC 3339> <text>`
    PRIMARY KEY (job, attempt)
) STRICT;

CREATE INDEX logs_sizes ON logs (job, bytes);

CREATE TABLE nodes (
    name         TEXT NOT NULL PRIMARY KEY,
    token_sha256 TEXT NOT NULL,
    about        TEXT NOT NULL,            -- JSON of the last join
    joined_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
