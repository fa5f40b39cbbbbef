-- audit_untold: how many tickets have a trail that does not tell of each of their changes once, from
-- the first to the last. Other versions with the same count, sum and ends are somebody's work, which the
-- seals tell.
SELECT count(*)
FROM tickets
LEFT JOIN (
    SELECT
        ticket_id,
        count(*) AS entries,
        sum(version) AS versions,
        min(version) AS first,
        max(version) AS last
    FROM audit_entries
    GROUP BY ticket_id
) AS trails ON trails.ticket_id = tickets.id
WHERE
    trails.ticket_id IS NULL
    OR trails.entries <> tickets.version
    OR trails.versions * 2 <> tickets.version::bigint * (tickets.version + 1)
    OR trails.first <> 1
    OR trails.last <> tickets.version
