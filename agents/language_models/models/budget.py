"""Hard limits of requests, tokens and money, and the sums of a run."""

from threading import Lock

from clipnav.agents.language_models.models.replies import BudgetReached, Usage
from clipnav.agents.language_models.settings import BudgetConfig

_PRICE_UNIT = 1e6  # tokens


class Spending:
    """What a run has sent.

    Args:
        limits: Limits and prices.

    Attributes:
        requests: Number of requests sent.
        usage: Tokens of the requests.
    """

    def __init__(self, limits: BudgetConfig) -> None:
        self._limits = limits
        self._lock = Lock()
        self.requests = 0
        self.usage = Usage()

    def start_request(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            BudgetReached: A limit is reached; the request must not be sent.
        """
        limits = self._limits
        with self._lock:
            if limits.max_requests is not None and self.requests >= limits.max_requests:
                raise BudgetReached(f"--max-requests {limits.max_requests} is reached")
            tokens = self.usage.prompt + self.usage.completion
            if limits.max_tokens_total is not None and tokens >= limits.max_tokens_total:
                raise BudgetReached(f"--max-tokens-total {limits.max_tokens_total} is reached")
            cost = price(self.usage, limits)
            if limits.max_cost is not None and cost is not None and cost >= limits.max_cost:
                raise BudgetReached(f"--max-cost {limits.max_cost:g} is reached")
            self.requests += 1

    def add(self, usage: Usage) -> None:
        """Add the tokens of an answered request."""
        with self._lock:
            self.usage = self.usage + usage


def price(usage: Usage, prices: BudgetConfig) -> float | None:
    """Return what tokens cost; None without prices."""
    if prices.price_in is None or prices.price_out is None:
        return None
    return (prices.price_in * usage.prompt + prices.price_out * usage.completion) / _PRICE_UNIT
