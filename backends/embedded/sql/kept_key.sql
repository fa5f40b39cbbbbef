-- kept_key: the fingerprint of the number key that the store was numbered with.
SELECT value FROM installation WHERE name = 'number_key_fingerprint'
