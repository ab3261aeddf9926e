-- Logins of image registries, for pulls by nodes.
CREATE TABLE registries (
    name     TEXT NOT NULL PRIMARY KEY,    -- what services call it in `image_pull_secrets`
    server   TEXT NOT NULL,                -- host, with its port if it has one
    username TEXT NOT NULL,
    password BLOB NOT NULL                 -- sealed as `registry/<name>`
) STRICT, WITHOUT ROWID;
