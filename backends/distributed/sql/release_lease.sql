-- release_lease: the relay's lease is no longer $1's, if it was.
UPDATE relay
SET holder = NULL, expires_at = NULL
WHERE holder = $1
