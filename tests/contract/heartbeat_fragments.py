"""A program for a network of its own, whose packets are short: does a long report come whole, in fragments?

python -m tests.contract.heartbeat_fragments    prints how many members the report had that came, and whether in fragments
"""

import asyncio
from pathlib import Path

from tests.contract.heartbeat_stage import Host, acquainted, long_report, until


def fragments() -> int:
    """Return how many fragments this network has made of IPv4 packets."""
    names, numbers = (
        line.split()
        for line in Path("/proc/net/snmp").read_text("ascii").splitlines()
        if line.startswith("Ip:")
    )
    return int(numbers[names.index("FragCreates")])


async def main() -> None:
    a = await Host("a", "127.0.0.2").open()
    b = await Host("b", "127.0.0.3").open()
    a.knows(b=b.where)
    b.knows(a=a.where)
    await acquainted(a, b)
    report = long_report(400)
    await until(lambda: b.heard[-1][0].report == report, lambda: a.send(report=report, report_number=1))
    came = b.heard[-1][0].report
    assert came is not None
    print(len(came.members), "in fragments" if fragments() > 20 else "whole")  # noqa: T201 - the result
    await a.beating.close()
    await b.beating.close()


if __name__ == "__main__":
    asyncio.run(main())
