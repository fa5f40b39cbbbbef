-- audit_file: up to five things that are wrong with the file, or ok. Servers look after theirs.
PRAGMA integrity_check(5)
