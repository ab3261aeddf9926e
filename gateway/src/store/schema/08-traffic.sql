-- What services were asked and took: an hour a row, a day a row when it is long ago.
CREATE TABLE traffic (
    period_ms INTEGER NOT NULL,            -- when the hour or day begins
    service   TEXT NOT NULL,
    kind      TEXT NOT NULL,               -- sync, async, exposed: requests; cpu: microseconds
    user      TEXT NOT NULL,               -- who asked; empty: unknown, and for cpu
    hours     INTEGER NOT NULL,            -- 1 or 24
    amount    INTEGER NOT NULL,
    PRIMARY KEY (period_ms, service, kind, user, hours)
) STRICT, WITHOUT ROWID;
