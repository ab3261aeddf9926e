-- Files on their way to a storage elsewhere. A row goes when its file has arrived; until then it holds the blob.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- names the delivery to users, so no number is used twice
    job          TEXT NOT NULL,            -- name of the job whose output it is
    service      TEXT NOT NULL,            -- whose definition has the credentials
    provider     TEXT NOT NULL,            -- <type>.<id>
    bucket       TEXT NOT NULL,            -- empty where the provider has none
    key          TEXT NOT NULL,
    content_type TEXT NOT NULL,
    blob         INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    state        TEXT NOT NULL,            -- waiting, dead
    tries        INTEGER NOT NULL,
    ready_ms     INTEGER NOT NULL,         -- not to be tried before
    created_ms   INTEGER NOT NULL,
    since_ms     INTEGER NOT NULL,         -- when trying began: at creation, or with the last retry by hand
    dead_ms      INTEGER,
    message      TEXT NOT NULL             -- what the last try came to
) STRICT;

CREATE INDEX deliveries_waiting ON deliveries (service, provider, ready_ms, id) WHERE state = 'waiting';
CREATE INDEX deliveries_of_place ON deliveries (service, provider, bucket, key, id) WHERE state = 'waiting';
CREATE INDEX deliveries_dead ON deliveries (dead_ms) WHERE state = 'dead';

-- Jobs (in the state `fetching`) whose input is in a storage elsewhere and not here yet.
CREATE TABLE fetches (
    job      INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,                -- <type>.<id>
    bucket   TEXT NOT NULL,
    key      TEXT NOT NULL,
    tries    INTEGER NOT NULL,
    ready_ms INTEGER NOT NULL,
    since_ms INTEGER NOT NULL              -- when trying began
) STRICT;

CREATE INDEX jobs_fetching ON jobs (id) WHERE state = 'fetching';

-- Folders of storages elsewhere that are inputs of services.
CREATE TABLE watches (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    service  TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    place    TEXT NOT NULL,                -- <type>.<id>, address, bucket and folder, one a line
    since_ms INTEGER NOT NULL,             -- what is older was there before: it starts no job
    is_known INTEGER NOT NULL,             -- 1 once all that was there before is in `seen`
    UNIQUE (service, place)
) STRICT;

-- The version of each file of a watched folder that was seen last.
CREATE TABLE seen (
    watch   INTEGER NOT NULL REFERENCES watches (id) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (watch, key)
) STRICT, WITHOUT ROWID;
