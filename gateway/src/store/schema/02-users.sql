-- People who have come with an OIDC token. Their object-store account has the subject as its access key.
CREATE TABLE users (
    uid           TEXT NOT NULL PRIMARY KEY, -- the token's subject
    name          TEXT NOT NULL,             -- to be shown
    secret_key    BLOB NOT NULL,             -- of the object-store account, sealed
    first_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
