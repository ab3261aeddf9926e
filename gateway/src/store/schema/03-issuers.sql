-- Who vouched for a person first. Subjects are unique within an issuer only.
ALTER TABLE users ADD COLUMN issuer TEXT NOT NULL DEFAULT ''; -- empty: nobody yet, somebody else named the subject
