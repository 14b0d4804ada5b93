"""Paired comparison of two arms: mean difference, an interval over seeds and test items, and a verdict by rule.

The n seeds share their test items, so what either draws at random does not shrink alike:

    variance of the mean difference = variance over seeds / n + variance over items

- *Seeds*: of the n paired differences, shrunk towards that of all comparisons of a track (:class:`Noise`; Smyth 2004,
  "Linear models and empirical Bayes methods", section 4).
- *Items*: what all seeds share (``lib.evaluation.influence``); what items do to one seed alone is in the first term.

The interval is that of a t-distribution with Satterthwaite's degrees of freedom.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from scipy import optimize, special, stats

HELPS, HURTS, RULED_OUT, TOO_SMALL = "helps", "hurts", "claim ruled out", "too small to see here"
NO_EFFECT, NOT_IN_PLAY, UNKNOWN = "no effect above", "not in play", "one seed: no interval"
MANY = 1e4  # degrees of freedom from which on t is normal
NAN = float("nan")


class Noise(NamedTuple):
    """What is known of the noise of a track's comparisons before one of them is looked at. ``df`` is how many degrees
    of freedom that knowledge is worth: 0 leaves every variance as it was measured, infinity gives all comparisons the
    same."""

    sd_seeds: float = NAN  # of the paired difference of one seed, in units of the metric
    df: float = 0.0
    sd_items: float = 0.0  # of the mean difference over all seeds there might be

    def moderated(self, sd: float, df: float) -> tuple[float, float]:
        """A standard deviation over seeds with ``df`` degrees of freedom, shrunk: its new value and degrees of freedom."""
        if self.df == 0 or np.isinf(self.df):
            return (self.sd_seeds, self.df) if self.df else (sd, df)
        variance = (self.df * self.sd_seeds**2 + df * sd**2) / (self.df + df)
        return float(np.sqrt(variance)), self.df + df


class Comparison(NamedTuple):
    """A mean paired difference, how sure it is, and what may be said of it by rule (:func:`verdict_of`)."""

    mean: float  # arm minus reference, in units of the metric
    low: float  # 95 % interval over seeds and items; NaN with one seed
    high: float
    verdict: str
    p: float = NAN  # two-sided; NaN with one seed, and where the arms are one and the same
    sd_seeds: float = NAN  # of the paired differences as measured; NaN with one seed
    sd_items: float = NAN
    detectable: float = NAN  # smallest true difference that would be seen four times out of five


def compare(
    difference: np.ndarray,
    sd_items: float = 0.0,
    *,
    noise: Noise | None = None,
    claimed: float = NAN,
    higher_is_better: bool = True,
    identical: bool = False,
) -> Comparison:
    """The paired differences of an arm, judged. Raises ValueError: no seed.

    Args:
        sd_items: of the mean difference over other test items, of the part that all seeds share.
        noise: of the track; None for what the seeds themselves say.
        claimed: size of the effect by its authors; NaN where nobody gave one.
        identical: every run predicts the same in both arms, to the last digit.
    """
    difference, noise = np.asarray(difference, float), noise or Noise()
    if difference.ndim != 1 or len(difference) == 0:
        raise ValueError(f"a comparison needs the differences of at least one seed, got shape {difference.shape}")
    mean, n = float(difference.mean()), len(difference)
    if identical:
        return Comparison(0.0, 0.0, 0.0, NOT_IN_PLAY, sd_seeds=0.0, sd_items=0.0)
    if n == 1:
        return Comparison(mean, NAN, NAN, UNKNOWN, sd_items=sd_items)
    sd_seeds = float(difference.std(ddof=1))
    moderated, df = noise.moderated(sd_seeds, n - 1)
    error, df = _together(moderated, df, n, sd_items)
    half = float(stats.t.ppf(0.975, df)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, df)) if error else float(mean == 0)
    low, high = mean - half, mean + half
    verdict = verdict_of(low, high, claimed, higher_is_better)
    seen = detectable(moderated, n, sd_items, df=noise.moderated(sd_seeds, n - 1)[1]) if error else NAN
    return Comparison(mean, low, high, verdict, p, sd_seeds, sd_items, seen)


def _together(sd_seeds: float, df: float, n: int, sd_items: float) -> tuple[float, float]:
    """Standard error of a mean over n seeds on some items, and Satterthwaite's degrees of freedom; those of items are many."""
    seeds, items = sd_seeds**2 / n, sd_items**2
    return float(np.sqrt(seeds + items)), df * (1 + items / seeds) ** 2 if seeds else MANY


def verdict_of(low: float, high: float, claimed: float = NAN, higher_is_better: bool = True) -> str:
    """What an interval allows to say, nothing where there is none. What is seen comes first.

    1. *helps*, *hurts*: the interval leaves out zero.
    2. *claim ruled out*: it leaves out what was claimed. *Too small to see here*: it holds both.
    3. *no effect above x*: nothing was claimed, or that there is no effect; x is its end further from zero, in two digits.

    Before all of these comes *not in play*: both arms predict the same, which no interval can tell (:func:`compare`).

    >>> verdict_of(0.001, 0.02), verdict_of(-0.002, 0.004, claimed=0.01), verdict_of(-0.02, 0.04, claimed=0.01)
    ('helps', 'claim ruled out', 'too small to see here')
    >>> verdict_of(-0.0123, 0.004)
    'no effect above 0.012'
    """
    if np.isnan(low):
        return UNKNOWN
    if low > 0 or high < 0:
        return HELPS if (low > 0) == higher_is_better else HURTS
    if np.isfinite(claimed) and claimed != 0:
        return TOO_SMALL if low <= claimed <= high else RULED_OUT
    bound = float(f"{max(abs(low), abs(high)):.2g}")
    return f"{NO_EFFECT} {np.format_float_positional(bound, trim='-')}"


def word(verdict: str) -> str:
    """A verdict without its number: one of the constants.

    >>> word("no effect above 0.012"), word("helps")
    ('no effect above', 'helps')
    """
    return NO_EFFECT if verdict.startswith(NO_EFFECT) else verdict


def detectable(sd_seeds: float, n: int, sd_items: float = 0.0, df: float | None = None, power: float = 0.8) -> float:
    """Smallest true difference that would be seen with the given power: exactly, by the noncentral t-distribution.
    In units of the standard deviations; NaN for fewer than two seeds of which nothing else is known.

    Args:
        sd_seeds: of the paired difference of one seed, with ``df`` degrees of freedom (n - 1 by default).
        sd_items: of the mean difference over test items; with N items instead of M it is sqrt(M / N) times as large.
    """
    df = n - 1 if df is None else df
    if df <= 0 or n < 1 or np.isnan(sd_seeds):
        return NAN
    error, df = _together(sd_seeds, df, n, sd_items)
    limit = stats.t.ppf(0.975, df)
    if df >= MANY:
        return float((limit + stats.norm.ppf(power)) * error)
    found = optimize.brentq(lambda effect: stats.nct.sf(limit, df, effect) - power, 0, 2 * limit + 10)
    return error * float(cast(float, found))


def fitted(sd: Sequence[float], df: Sequence[float], sd_items: Sequence[float] = ()) -> Noise:
    """What many comparisons say of the next one, by the moments of log variances (Smyth 2004, section 6.2).

    ``sd``: over seeds, of comparisons that each have ``df`` degrees of freedom; those of 0 say nothing and are left
    out. Returns noise with ``df`` 0 where fewer than three comparisons are left; with infinite ``df`` where their
    variances differ by no more than chance. ``sd_items`` is the median.
    """
    variances, half = np.asarray(sd, float) ** 2, np.asarray(df, float) / 2
    known = (variances > 0) & (half > 0)
    items = float(np.median(sd_items)) if len(sd_items) else 0.0
    if known.sum() < 3:
        return Noise(sd_items=items)
    variances, half = variances[known], half[known]
    logs = np.log(variances) - special.digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    if excess <= 0:
        return Noise(float(np.exp(logs.mean() / 2)), float("inf"), items)
    prior = float(cast(float, optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-3, 1e7)))
    return Noise(float(np.exp((logs.mean() + special.digamma(prior) - np.log(prior)) / 2)), 2 * prior, items)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values: controls the family-wise error over all questions.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result
