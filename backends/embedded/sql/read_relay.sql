-- read_relay: the position that was reached. In Postgres take_lease tells.
SELECT position
FROM relay
