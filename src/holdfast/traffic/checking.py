"""HAProxy's own checks: the safety net that goes on when holdfast does not.

They ask the service itself, the same question as the member's first HTTP probe (or its first TCP
probe that speaks), so that HAProxy alone fails over for the same reasons as holdfast would. HAProxy
has one script for all servers of a backend: when the members' probes differ, it only connects.
"""

from collections.abc import Iterator

from holdfast.model.policy import HttpCheck, MemberPolicy, ProbePolicy, Purpose, ServicePolicy, TcpCheck
from holdfast.model.time import MILLISECOND, Duration

TIMEOUT_DEFAULT: Duration = 300 * MILLISECOND
FALL_DEFAULT = 3


def question(service: ServicePolicy) -> ProbePolicy | None:
    """Return the probe whose question HAProxy asks of every member; None: it only connects."""
    chosen = [_speaking(member) for member in service.everywhere if member.port is not None]
    if not chosen or any(probe is None or _shape(probe) != _shape(chosen[0]) for probe in chosen):
        return None
    return chosen[0]


def check_lines(probe: ProbePolicy | None) -> Iterator[str]:
    """Give the backend's lines that ask the question."""
    match probe.check if probe else None:
        case HttpCheck() as check:
            yield from _http_lines(check)
        case TcpCheck(send=send, expect=expect):
            yield "option tcp-check"
            yield "tcp-check connect"
            if send:
                yield f"tcp-check send-binary {send.encode().hex()}"
            if expect:
                yield f"tcp-check expect binary {expect.encode().hex()}"
        case _:
            pass


def check_words(service: ServicePolicy, member: MemberPolicy) -> Iterator[str]:
    """Give the words of the member's server line: where to ask, if not where it serves."""
    if question(service) is None:
        return
    probe = _speaking(member)
    assert probe is not None
    check = probe.check
    assert isinstance(check, HttpCheck | TcpCheck)
    if check.port != member.port:
        yield f"port {check.port}"
    if check.host != member.host:
        yield f"addr {check.host}"
    if isinstance(check, HttpCheck) and check.tls:
        # Whether the certificate is right is our own probe's question; this one is: does it answer?
        yield "check-ssl verify none"


def quoted(text: str) -> str:
    """Return `text` as one word of HAProxy's configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _http_lines(check: HttpCheck) -> Iterator[str]:
    headers = {"Host": check.host, "Connection": "close"} | check.headers
    words = " ".join(f"hdr {quoted(name)} {quoted(value)}" for name, value in headers.items())
    yield "option httpchk"
    yield f"http-check send meth {check.method} uri {quoted(check.path)} ver HTTP/1.1 {words}"
    codes = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in check.expect_status)
    yield f"http-check expect status {codes}"
    if check.expect_body:
        yield f"http-check expect string {quoted(check.expect_body)}"


def _speaking(member: MemberPolicy) -> ProbePolicy | None:
    probes = [probe for probe in member.probes if probe.purpose in (Purpose.LIVENESS, Purpose.READINESS)]
    http = (probe for probe in probes if isinstance(probe.check, HttpCheck))
    tcp = (p for p in probes if isinstance(p.check, TcpCheck) and (p.check.send or p.check.expect))
    return next(http, None) or next(tcp, None)


def _shape(probe: ProbePolicy | None) -> object:
    match probe.check if probe else None:
        case HttpCheck() as check:
            host = check.headers.get("Host", "")
            headers = tuple(sorted(check.headers.items()))
            return (
                check.method,
                check.path,
                host,
                headers,
                check.expect_status,
                check.expect_body,
                check.tls,
            )
        case TcpCheck(send=send, expect=expect):
            return (send, expect)
        case _:
            return None
