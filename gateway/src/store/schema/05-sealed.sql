-- What is secret lies sealed: see `vault` and `store::sealing`. A definition is sealed as a whole, because anything in
-- it may be secret: token, credentials of providers and clusters, headers, variables.
DROP TABLE secrets;
DELETE FROM services;
DROP TABLE services;

CREATE TABLE services (
    name       TEXT NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,           -- raised by each update
    definition BLOB NOT NULL,              -- sealed as `service/<name>`: JSON of the service, secrets blank
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    service TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    value   BLOB NOT NULL,                 -- sealed as `secret/<service>/<name>`
    PRIMARY KEY (service, name)
) STRICT, WITHOUT ROWID;
