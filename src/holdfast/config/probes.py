"""Probes: what is asked of a member, how often, and what its answer is for."""

from typing import Any

from holdfast.config.addresses import Address, HostPort, HttpTarget, Statuses, Target
from holdfast.config.commands import Command
from holdfast.config.keys import Key, Reading, Section, Table
from holdfast.config.kinds import Choice, Flag, MapOf, Plain, Text, name_kind
from holdfast.config.problems import show_key
from holdfast.config.quantities import Number, Span, Whole
from holdfast.config.scope import Scope
from holdfast.model.policy import Check, ExecCheck, HttpCheck, ProbePolicy, Purpose, TcpCheck
from holdfast.model.time import HOUR, MILLISECOND, MINUTE

_TOKEN = Text("[A-Z]{1,20}", "an HTTP method in capitals, such as GET or HEAD")
_HEADER = Text("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of an HTTP header")
_SECONDS = (20 * MILLISECOND, 24 * HOUR)
_ASKS = {"http": HttpCheck, "tcp": TcpCheck, "exec": ExecCheck}  # exactly one of these keys is there

PROBE = Table(
    "services.NAME.probes.NAME",
    "One question, asked again and again. Exactly one of http, tcp and exec says what is asked.",
    ProbePolicy,
    (
        Key("http", HttpTarget(), "ask this URL with one HTTP request; redirects are not followed"),
        Key("tcp", HostPort(), "connect to this address; a port alone is one of the member's host"),
        Key(
            "exec",
            Command(),
            "run a program with Nagios' exit codes: 0 good, 1 degraded, 2 bad, others unknown",
        ),
        Key(
            "purpose",
            Choice(Purpose),
            "what a failure means. liveness: no traffic, and the member is restarted. readiness: no traffic, and it is "
            "left running. startup: until it passes once, the others wait. reading: nobody reads from it as a standby",
            default="liveness",
        ),
        Key("every", Span(*_SECONDS), "how often to ask"),
        Key("timeout", Span(10 * MILLISECOND, 10 * MINUTE), "how long to wait for an answer; at most every"),
        Key("rise", Whole(1, 100), "good answers in a row until it has passed"),
        Key("fall", Whole(1, 100), "bad answers in a row until it has failed"),
        Key(
            "every_suspect", Span(*_SECONDS), "how often to ask while the last answer contradicts the verdict"
        ),
        Key("jitter", Number(0, 0.5), "share of every by which a question may come early or late"),
        Key("expect_status", Statuses(), "statuses that are good", model=HttpCheck),
        Key("expect_body", Text(), "text that the first 64 KiB of the answer must hold", model=HttpCheck),
        Key("method", _TOKEN, "the HTTP method", model=HttpCheck),
        Key("headers", MapOf(_HEADER, Plain(is_one_line=True)), "HTTP headers to send", model=HttpCheck),
        Key("tls_verify", Flag(), "whether the certificate of an https URL must be good", model=HttpCheck),
        Key(
            "send",
            Text(),
            'text to send once connected; in double quotes "\\r\\n" is a line end',
            model=TcpCheck,
        ),
        Key("expect", Text(), "text that the answer must hold", model=TcpCheck),
    ),
    ordered=(("timeout", "every"), ("every_suspect", "every")),
    exactly_one=("http", "tcp", "exec"),
    example="write, for example, { http: /healthz }",
)


class Probe(Section, frozen=True):
    """One probe. Its name is the last part of its path."""

    def check(self, reading: Reading, scope: Scope) -> bool:
        """Tell whether every key goes with what is asked."""
        asked = [name for name in _ASKS if name in reading.key_places]
        if len(asked) != 1:
            return False
        fits = True
        for key in PROBE.keys:
            if key.model is None or key.name not in reading.values or key.model is _ASKS[asked[0]]:
                continue
            goes_with = next(name for name, model in _ASKS.items() if model is key.model)
            place = reading.key_places[key.name]
            scope.refuse_at(
                place, f"{show_key(key.name)} goes with {goes_with}, not with {asked[0]}", "remove it"
            )
            fits = False
        return fits

    def build(self, reading: Reading) -> ProbePolicy:
        """Return the probe from a section without faults."""
        own = (key.name for key in PROBE.keys if key.model is None and key.name not in _ASKS)
        fields = {"purpose": Purpose.LIVENESS} | reading.fields(*own)
        return ProbePolicy(name=reading.place.path[-1], check=_check_of(reading), **fields)


def _check_of(reading: Reading) -> Check:
    def fields(model: Any) -> dict[str, Any]:  # noqa: ANN401 - a class of the model
        return reading.fields(*(key.name for key in PROBE.keys if key.model is model))

    match reading.values:
        case {"http": Target(address=address, path=path, tls=tls)}:
            return HttpCheck(address.host, address.port, path, tls, **fields(HttpCheck))
        case {"tcp": Address(host=host, port=port)}:
            return TcpCheck(host, port, **fields(TcpCheck))
        case {"exec": command}:
            return ExecCheck(command)
        case _:
            raise AssertionError(reading)


PROBES = MapOf(name_kind(), Probe(PROBE))
