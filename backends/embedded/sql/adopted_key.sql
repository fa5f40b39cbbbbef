-- adopted_key: the fingerprint kept. For an audit, which may not write.
SELECT value
FROM installation
WHERE name = 'number_key_fingerprint'
