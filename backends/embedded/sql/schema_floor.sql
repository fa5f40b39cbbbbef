-- schema_floor: the migration that a release must know to read this schema, if one took something away.
SELECT CAST(value AS INTEGER) FROM installation WHERE name = 'schema_floor'
