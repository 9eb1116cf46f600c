"""A teacher behind an OpenAI-compatible endpoint: questions in parallel, each until it is answered or hopeless."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from rsccli.datasets.collection.images import png_bytes, read_colours, read_pair
from rsccli.datasets.collection.pair import LabelledPair
from rsccli.datasets.collection.prompts import PairPrompt, prompt_of
from rsccli.datasets.teacher.chat import NoCaptionError, Sampling, question, read_answer, said_in_error
from rsccli.datasets.teacher.client import ADDRESS, KEY, Address, Client, Reply
from rsccli.datasets.teacher.gate import Gate, Halted
from rsccli.datasets.teacher.outcome import Outcome
from rsccli.errors import InputError, ModelError, UsageProblem
from rsccli.models.prompts import Regime

logger = logging.getLogger(__name__)

#: Statuses after which the same question may be answered.
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
#: Statuses that concern this question alone.
OWN = frozenset({400, 413, 415, 422})
#: So many pairs without a caption, one after another, and the run gives up.
GIVE_UP = 10
#: How often a wait looks whether the run is being stopped, seconds.
POLL_S = 0.2
#: A longer pause is not waited for.
LONGEST_HOLD_S = 3600.0


@dataclass(frozen=True)
class EndpointOptions:
    """How an endpoint is asked.

    Attributes:
        model: its name for the model. regime: of the prompts. sampling: see `Sampling`.
        parallel: requests at once. per_minute: most requests a minute, or None. timeout_s: for one answer.
        retries: further tries of a question after the first. first_wait_s: pause before the first of them.
    """

    model: str
    regime: Regime
    sampling: Sampling = field(default_factory=Sampling)
    parallel: int = 4
    per_minute: float | None = None
    timeout_s: float = 120.0
    retries: int = 6
    first_wait_s: float = 1.0

    def __post_init__(self) -> None:
        if self.parallel < 1 or self.retries < 0 or self.timeout_s <= 0 or self.first_wait_s < 0:
            raise UsageProblem("--parallel is at least 1, --retries at least 0, --timeout above 0")


class EndpointTeacher:
    """The teacher; see `rsccli.datasets.teacher.outcome.Teacher`.

    Args:
        address: where to ask. options: how. folder: of the data set.
    """

    def __init__(self, address: Address, options: EndpointOptions, folder: Path) -> None:
        self.model = options.model
        self.revision: str | None = None  # an endpoint does not tell
        self.regime: Regime = options.regime
        self._address, self._options, self._folder = address, options, folder
        self._clients: list[Client] = []
        self._local = threading.local()
        if address.url.startswith("http://") and address.key and not _is_local(address.url):
            logger.warning("%s begins with http://: %s can be read on its way there", ADDRESS, KEY)

    def teach(self, pairs: Sequence[LabelledPair], stopped: Callable[[], bool]) -> Iterator[Outcome]:
        """Ask about pairs; outcomes come as they are answered, and those in flight at a stop or an error, too."""
        options = self._options
        gate = Gate(options.per_minute, options.first_wait_s)
        todo = iter(pairs)
        failures, hopeless = 0, None
        with ThreadPoolExecutor(options.parallel, "rsccli-teacher") as pool:
            running: set[Future[Outcome | None]] = set()
            try:
                while True:
                    if hopeless is not None or stopped():
                        gate.halt()
                        todo = iter(())
                    while len(running) < options.parallel and (pair := next(todo, None)):
                        running.add(pool.submit(self._ask, pair, gate))
                    if not running:
                        break
                    done, running = wait(running, POLL_S, return_when=FIRST_COMPLETED)
                    for future in done:
                        error = future.exception()
                        if error is not None:
                            hopeless = hopeless or error
                        elif (outcome := future.result()) is not None:
                            # An image that cannot be read is no fault of the endpoint.
                            failures = 0 if outcome.text is not None else failures + min(outcome.tries, 1)
                            yield outcome
                            if failures >= GIVE_UP and hopeless is None:
                                hopeless = _gave_up(failures, outcome)
            finally:
                gate.halt()
                pool.shutdown(wait=True, cancel_futures=True)
                self._close()
        if hopeless is not None:
            raise hopeless

    def _close(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._local = threading.local()

    def _ask(self, pair: LabelledPair, gate: Gate) -> Outcome | None:
        """One pair, until there is a caption or no hope; None where the run is being stopped."""
        prompt = prompt_of(pair, self._options.regime)
        try:
            pre, post = _pngs(self._folder, pair, prompt)
        except InputError as error:
            return Outcome(pair.id, None, str(error), tries=0)
        body = question(self.model, prompt.prompt, pre, post, self._options.sampling)
        malformed, problem = 0, ""
        for tries in range(1, self._options.retries + 2):
            try:
                if tries > 1:
                    gate.rest(tries - 1)
                gate.enter()
            except Halted:
                return None
            reply = self._client().post(body)
            if reply.status == 200:
                try:
                    answer = read_answer(reply.body)
                except NoCaptionError as error:
                    malformed, problem = malformed + 1, str(error)
                    if not error.again:
                        return Outcome(pair.id, None, problem, malformed, tries)
                    continue
                return Outcome(pair.id, answer.text, None, malformed, tries, answer.prompt_tokens, answer.answer_tokens)
            problem = self._judge(reply)
            if reply.status in OWN:
                return Outcome(pair.id, None, problem, malformed, tries)
            if reply.retry_after_s is not None:
                gate.hold(reply.retry_after_s)
        return Outcome(pair.id, None, f"{problem} (tried {tries} times)", malformed, tries)

    def _judge(self, reply: Reply) -> str:
        """What a failure is, in words.

        Raises:
            ModelError: no question will be answered.
        """
        if reply.status is None:
            return reply.trouble or "no answer"
        if reply.status in (401, 403):
            raise ModelError(f"the endpoint refuses the key (HTTP {reply.status}): set {KEY} to one that it knows")
        # The server's own words, in which it may repeat what it was asked with.
        said = self._address.hide(said_in_error(reply.body))
        told = f"HTTP {reply.status}" + (f": {said}" if said else "")
        if reply.status == 404:
            raise ModelError(
                f"the endpoint knows no such model or address ({told}): check --model {self.model} and {ADDRESS}, "
                "which ends in /v1 for most servers"
            )
        if reply.status not in PASSING and reply.status not in OWN:
            raise ModelError(f"the endpoint answers with {told}: check {ADDRESS}")
        if reply.retry_after_s is not None and reply.retry_after_s > LONGEST_HOLD_S:
            raise ModelError(
                f"the endpoint asks to wait {reply.retry_after_s / 60:.0f} minutes ({told}); what is finished is kept, "
                "run the same command again then"
            )
        return told

    def _client(self) -> Client:
        if not hasattr(self._local, "client"):
            self._local.client = Client(self._address, self._options.timeout_s)
            self._clients.append(self._local.client)
        client: Client = self._local.client
        return client


def _gave_up(failures: int, last: Outcome) -> ModelError:
    return ModelError(
        f"the endpoint gave no caption for {failures} pairs one after another (the last one: {last.problem}); what is "
        "finished is kept, run the same command again to go on"
    )


def _pngs(folder: Path, pair: LabelledPair, prompt: PairPrompt) -> tuple[bytes, bytes]:
    """Both images of a question as PNG."""
    paths = folder / prompt.pre_image, folder / prompt.post_image
    if all(path.suffix.lower() == ".png" for path in paths):
        try:
            return paths[0].read_bytes(), paths[1].read_bytes()
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror or error}") from error
    seen = read_pair(folder / pair.pre, folder / pair.post)
    post = seen.post if prompt.post_image == pair.post else read_colours(paths[1])
    return png_bytes(seen.pre), png_bytes(post)


def _is_local(url: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
