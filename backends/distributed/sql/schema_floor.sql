-- schema_floor: the migration that a release must know to read this schema, if one took something away.
SELECT value::bigint FROM installation WHERE name = 'schema_floor'
