"""One HTTP question and its answer, as a dialogue."""

from urllib.parse import quote

from holdfast.model.observation import Failure, Layer, Outcome
from holdfast.model.policy import HttpCheck
from holdfast.probing.dialogue import show
from holdfast.probing.http_answer import BODY_MAX, HttpAnswer
from holdfast.probing.verdict import Verdict, failed, passed

TAIL_MAX = 256 * 1024  # after the verdict, this much of an answer is heard out; then it is cut off

_STANDARD_PORT = {False: 80, True: 443}
_PATH_SAFE = "%/:=&?~#+!$,;'@()*[]"


class HttpExchange:
    """Ask with one request, judge by the status and, if wanted, by the body."""

    def __init__(self, check: HttpCheck) -> None:
        self._request = request(check)
        self._ranges = check.expect_status
        self._expect = check.expect_body.encode()
        self._has_body = check.method.upper() != "HEAD"
        self._answer = HttpAnswer(has_body=self._has_body)
        self._is_judged = False
        self._tail = 0
        self._searched = 0  # bytes of the body that were looked through in vain
        self._last_line = b""  # the last status line, and its verdict: most often the next one says the same
        self._last: Verdict | None = None

    @property
    def has_heard(self) -> bool:
        """Tell whether any of the answer has come."""
        return self._answer.has_begun

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more is to come, or nothing that is worth waiting for."""
        return self._answer.is_complete or bool(self._answer.fault) or self._tail > TAIL_MAX

    @property
    def may_go_on(self) -> bool:
        """Tell whether the connection may serve the next question."""
        return self._answer.is_complete and self._answer.is_kept

    def begin(self) -> bytes:
        """Forget the last answer; return the request."""
        self._answer = HttpAnswer(has_body=self._has_body)
        self._is_judged = False
        self._tail = 0
        self._searched = 0
        return self._request

    def sent(self) -> Verdict | None:
        """Wait for the answer."""
        return None

    def heard(self, data: bytes) -> Verdict | None:
        """Judge as soon as it is certain."""
        self._answer.feed(data)
        if self._is_judged:
            self._tail += len(data)
            return None
        verdict = self._judge()
        self._is_judged = verdict is not None
        return verdict

    def ended(self, where: str) -> Verdict:
        """Judge by what came before the other side closed."""
        answer = self._answer
        answer.close()
        self._is_judged = True
        verdict = self._judge()
        if verdict is not None:
            return verdict
        how = "in the middle of its answer" if answer.has_begun else "without an answer"
        return failed(Layer.ANSWER, Failure.RESET, f"{where} closed the connection {how}")

    def _judge(self) -> Verdict | None:
        answer = self._answer
        if not answer.status:
            if answer.fault:
                return failed(Layer.CONTENT, Failure.MALFORMED, f"answered {answer.fault}")
            return None
        if answer.line != self._last_line or self._last is None:
            self._last_line, self._last = answer.line, self._judge_status()
        if self._expect and self._last.outcome is Outcome.PASSED:
            return self._judge_body(self._last.detail)
        return self._last

    def _judge_status(self) -> Verdict:
        status = self._answer.status
        said = f"HTTP {status} {self._answer.reason}".rstrip()
        if any(low <= status <= high for low, high in self._ranges):
            return passed(Layer.CONTENT, said)
        return failed(Layer.CONTENT, Failure.STATUS, said)

    def _judge_body(self, said: str) -> Verdict | None:
        answer = self._answer
        if answer.body.find(self._expect, max(0, self._searched - len(self._expect) + 1)) >= 0:
            return passed(Layer.CONTENT, said)
        self._searched = len(answer.body)
        if answer.fault:
            return failed(Layer.CONTENT, Failure.MALFORMED, f"{said}, then {answer.fault}")
        if answer.is_complete or self._searched >= BODY_MAX:
            what = "the body" if answer.is_complete else "the first 64 KiB"
            return failed(
                Layer.CONTENT, Failure.BODY, f"{said}, but {what} does not contain {show(self._expect)}"
            )
        return None


def request(check: HttpCheck) -> bytes:
    """Return the bytes of the request. What could end a line early is taken out."""
    host = f"[{check.host}]" if ":" in check.host else check.host
    if check.port != _STANDARD_PORT[check.tls]:
        host = f"{host}:{check.port}"
    headers = {"host": ("Host", host), "user-agent": ("User-Agent", "holdfast"), "accept": ("Accept", "*/*")}
    headers["connection"] = ("Connection", "keep-alive")
    headers |= {name.lower(): (name, value) for name, value in check.headers.items()}
    lines = [f"{check.method} {quote(check.path, safe=_PATH_SAFE)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.values()]
    return "".join(f"{_one_line(line)}\r\n" for line in (*lines, "")).encode("utf-8")


def _one_line(line: str) -> str:
    return " ".join(line.splitlines())
