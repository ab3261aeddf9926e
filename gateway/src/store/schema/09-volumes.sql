-- Managed volumes: each is a volume of the container engine on one node.
CREATE TABLE volumes (
    id         TEXT NOT NULL PRIMARY KEY,  -- what the engine calls it
    owner      TEXT NOT NULL,              -- empty: the administrator
    name       TEXT NOT NULL,
    size       TEXT NOT NULL,              -- as it was asked for
    bytes      INTEGER NOT NULL,
    service    TEXT NOT NULL,              -- that made it; empty: the API did
    policy     TEXT NOT NULL,              -- delete, retain; empty when the API made it
    node       TEXT NOT NULL,              -- where it is; empty: nowhere yet
    phase      TEXT NOT NULL,              -- pending, ready, error, deleting
    message    TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One that is being deleted may wait long for its node; its name is free meanwhile.
CREATE UNIQUE INDEX volumes_by_name ON volumes (owner, name) WHERE phase <> 'deleting';
CREATE INDEX volumes_of_node ON volumes (node);

CREATE TABLE volume_attachments (
    service    TEXT NOT NULL PRIMARY KEY REFERENCES services (name) ON DELETE CASCADE,
    volume     TEXT NOT NULL REFERENCES volumes (id),
    mount_path TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX attachments_of_volume ON volume_attachments (volume);
