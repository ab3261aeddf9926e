-- What users may use, where it differs from the settings. NULL: as the settings say; 0: no limit.
CREATE TABLE quotas (
    uid          TEXT NOT NULL PRIMARY KEY,
    buckets      INTEGER,
    bucket_bytes INTEGER,                  -- in each bucket
    volumes      INTEGER,
    volumes_disk INTEGER,                  -- bytes of all volumes together
    volume_max   INTEGER,                  -- bytes of one volume
    volume_min   INTEGER
) STRICT, WITHOUT ROWID;
