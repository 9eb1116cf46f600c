"""Numbers, places and dates as a person reads them; the same on every machine, whatever its locale."""

from __future__ import annotations

from datetime import UTC, datetime

_MONTHS = "January February March April May June July August September October November December".split()
_NARROW = "\u202f"  # narrow no-break space


def count(number: int) -> str:
    """Thousands apart: 12 345."""
    return f"{number:,}".replace(",", _NARROW)


def area(area_m2: float | None) -> str:
    """Square metres below a hundredth of a hectare, else hectares."""
    if area_m2 is None:
        return "unknown"
    if area_m2 == 0:
        return "0" + _NARROW + "ha"
    if area_m2 < 100:
        return f"{area_m2:.0f}{_NARROW}m²"
    hectares = area_m2 / 10_000
    digits = 2 if hectares < 100 else 1 if hectares < 10_000 else 0
    return f"{hectares:,.{digits}f}".replace(",", _NARROW) + _NARROW + "ha"


def percent(share: float | None) -> str:
    """A share of 0-1 as per cent, small ones not rounded to nought."""
    if share is None:
        return "unknown"
    if 0 < share < 0.0005:
        return f"under 0.05{_NARROW}%"
    return f"{share * 100:.1f}{_NARROW}%"


def place(lonlat: tuple[float, float]) -> str:
    """Latitude and longitude with hemispheres, 5 decimals (about a metre)."""
    lon, lat = lonlat
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"


def moment(iso: str | None) -> str:
    """``2020-05-17T18:21:09Z`` gives 17 May 2020, 18:21 UTC; what is no ISO 8601 stays as it is."""
    if not iso:
        return "unknown date"
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    day = _day(parsed)
    if "T" not in iso and " " not in iso:
        return day
    zone = ""
    if parsed.tzinfo is not None:
        parsed, zone = parsed.astimezone(UTC), " UTC"
        day = _day(parsed)
    return f"{day}, {parsed:%H:%M}{zone}"


def day(iso: str | None) -> str | None:
    """The day only, or None where there is no date."""
    return moment(iso).split(",")[0] if iso else None


def _day(date: datetime) -> str:
    # No-break spaces: a date is not torn over two lines.
    return f"{date.day}\u00a0{_MONTHS[date.month - 1]}\u00a0{date.year}"


def metres(value: float | None) -> str:
    """A length with three significant digits, in metres or kilometres."""
    if value is None:
        return "unknown"
    if abs(value) >= 999.5:
        return f"{value / 1000:.3g}{_NARROW}km" if abs(value) < 999_500 else f"{count(round(value / 1000))}{_NARROW}km"
    return f"{value:.3g}{_NARROW}m"


def crs_name(crs: str) -> str:
    """The authority's code and the name, or the name alone where there is no code."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        name = CRS.from_user_input(crs).name
    except CRSError:
        return crs[:80]
    return f"{name} ({crs})" if len(crs) < 20 else name
