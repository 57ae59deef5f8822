"""Queries that are asked most, by name."""

from __future__ import annotations

from typing import Final, NamedTuple


class Canned(NamedTuple):
    """A question in words, and in SQL over the view `bad`: the rows whose status is bad."""

    question: str
    sql: str


CANNED: Final = {
    "worst-hosts": Canned(
        "Which hosts send most that is bad, and of what they send how much",
        """
        WITH wrong AS (
            SELECT src, count(*) AS bad, count(DISTINCT dst) AS receivers,
                string_agg(DISTINCT cause, ', ' ORDER BY cause) AS causes
            FROM rows WHERE status = 'bad' GROUP BY src
        ), every AS (SELECT src, count(*) AS rows FROM rows GROUP BY src)
        SELECT src, bad, round(100.0 * bad / rows, 2) AS percent, receivers, causes
        FROM wrong JOIN every USING (src) ORDER BY bad DESC, src LIMIT 20
        """,
    ),
    "began": Canned(
        "When did each cause begin and end, in which file and packet first",
        """
        SELECT cause, proto, min(time) AS began, max(time) AS ended, count(*) AS bad,
            arg_min(file, (time, file, n)) AS file, arg_min(n, (time, file, n)) AS packet
        FROM rows WHERE status = 'bad' GROUP BY cause, proto ORDER BY began, cause, proto
        """,
    ),
    "by-cause": Canned(
        "Which causes between which pair of hosts",
        """
        SELECT cause, proto, src, dst, count(*) AS bad, min(time) AS began, max(time) AS ended
        FROM rows WHERE status = 'bad' GROUP BY cause, proto, src, dst
        ORDER BY bad DESC, cause, proto, src, dst LIMIT 50
        """,
    ),
}
