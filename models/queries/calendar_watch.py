"""How connected calendars stand, counted for operators. One row per account, so a whole look is cheap once a minute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.db import Database

LATE_SECONDS: Final = 1_800
"""The longest pause between two looks at a calendar is 19 minutes, and one that fails is tried after a minute."""

# Accounts of people who are leaving stand still on purpose.
_STANDINGS: Final = """
SELECT c.provider, CASE WHEN c.state = 'active' THEN l.health ELSE c.state END AS standing, count(*) AS accounts
  FROM calendar_connections c JOIN calendar_links l ON l.connection_id = c.id
  JOIN users u ON u.id = c.user_id AND u.state = 'active'
 WHERE c.state <> 'disconnected' GROUP BY 1, 2"""
# What waits for its person is not late.
_LAGS: Final = f"""
SELECT provider, percentile_cont(0.95) WITHIN GROUP (ORDER BY age) AS lag,
       count(*) FILTER (WHERE age > {LATE_SECONDS}) AS late,
       coalesce(max(extract(epoch FROM clock_timestamp() - (channel ->> 'granted_at')::timestamptz)), 0) AS channel_age,
       count(*) FILTER (WHERE (channel ->> 'expires_at')::timestamptz < clock_timestamp()) AS channels_ended
  FROM (SELECT c.provider, l.push_channels -> -1 AS channel,
               extract(epoch FROM clock_timestamp() - coalesce(l.last_ok_at, c.created_at))::float8 AS age
          FROM calendar_connections c JOIN calendar_links l ON l.connection_id = c.id
          JOIN users u ON u.id = c.user_id AND u.state = 'active'
         WHERE c.state IN ('connecting', 'active') AND l.health NOT IN ('deletes_paused', 'calendar_missing')) AS a
 GROUP BY provider"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Stand:
    """Of one provider. `standings`: accounts by connection state, active ones by the health of their calendar. `lag`:
    seconds since the last agreement that nineteen of twenty calendars stay below; `late`: how many are beyond
    `LATE_SECONDS`. `channel_age`: seconds, of the oldest push channel; `channels_ended`: how many are over and have no
    successor."""

    standings: Mapping[str, int] = field(default_factory=dict)
    lag: float = 0.0
    late: int = 0
    channel_age: float = 0.0
    channels_ended: int = 0


async def stands(db: Database, providers: tuple[str, ...]) -> Mapping[str, Stand]:
    """As of now, for each of these; also where nobody has connected anything."""
    standings: dict[str, dict[str, int]] = {name: {} for name in providers}
    for row in await db.reads.fetch(_STANDINGS):
        standings[row["provider"]][row["standing"]] = row["accounts"]
    lags = {row["provider"]: row for row in await db.reads.fetch(_LAGS)}
    return {name: _stand(counted, lags.get(name)) for name, counted in standings.items()}


def _stand(standings: Mapping[str, int], row: Mapping[str, float] | None) -> Stand:
    if row is None:
        return Stand(standings)
    return Stand(standings, float(row["lag"]), int(row["late"]), float(row["channel_age"]), int(row["channels_ended"]))
