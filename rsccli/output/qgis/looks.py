"""The looks of our layers: tiles, pairs of a series, changes, answers, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rsccli.output.qgis.look import Colour, Entry, Look, Paint, Section, column, quoted, shown


def _paint(
    colour: tuple[int, int, int], alpha: int, line: int = 255, width: float = 0.3, dashed: bool = False
) -> Paint:
    return Paint((*colour, alpha), (*colour, line), width, dashed)


def _small(colour: tuple[int, int, int]) -> Paint:
    """Of a thing that is smaller than a tile."""
    return Paint((*colour, 170), (*colour, 255), 0.4, cased=True)


#: Statuses of a tile, those of the report page's colours.
_STATUSES = (
    Entry("changed", "changed", _paint((214, 54, 31), 75, width=0.9)),
    Entry("unsure", "unsure", _paint((217, 148, 10), 25, width=0.6, dashed=True)),
    Entry("unchanged", "unchanged", _paint((79, 138, 102), 18, 170, 0.25)),
    Entry("skipped", "skipped", _paint((119, 149, 176), 60, 170, 0.25)),
    Entry("nodata", "no data", _paint((167, 175, 182), 50, 170, 0.25)),
    Entry("read_error", "could not be read", _paint((138, 63, 176), 110)),
    Entry("model_error", "could not be captioned", _paint((75, 42, 123), 110)),
)
_SEASONAL = Entry("seasonal", "changed, comes back with the season", _paint((111, 154, 60), 75, width=0.9))
# Okabe and Ito's colours, which most colour-blind people can tell apart; red is left to changes.
_PHRASES = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66))
_UNREAD = (110, 110, 110)
_CAPTION = 'CASE WHEN "status" = \'changed\' THEN "caption" END'
_SCORE = "[% coalesce(round(\"change_score\", 2), '-') %]"


def tiles_look() -> Look:
    """Tiles of a captioned pair: colour by status, stronger with the score, captions on what changed."""
    return Look("rsccli tiles", "status", _STATUSES, _tile_tip('"id"'), label=_CAPTION, strength='"change_score"')


def timeline_look(pairs: Sequence[str], first: str) -> Look:
    """Tiles of a series: one section for each pair of dates.

    Args:
        pairs: their names. first: the one that is shown at first.
    """
    return Look(
        "rsccli timeline",
        'CASE WHEN "seasonal" THEN \'seasonal\' ELSE "status" END',
        (_STATUSES[0], _SEASONAL, *_STATUSES[1:]),
        _tile_tip('"tile" || \', \' || "pair"'),
        tuple(Section(_period(pair), f'"pair" = {quoted(pair)}', pair == first) for pair in pairs),
        # Of the hidden pairs no caption may lie over the shown one's tiles.
        label=f'CASE WHEN "pair" = {quoted(first)} THEN {_CAPTION} END',
        strength='"change_score"',
    )


def _period(pair: str) -> str:
    return pair.replace("_", " to ", 1)


def _tile_tip(name: str) -> str:
    keys = shown("replace(\"keywords\", ';', ', ')")
    return (
        f"<p><b>{column('caption')}</b></p>"
        f'<p>{shown(name)}: [% "status" %], score {_SCORE}</p><p>{keys}</p><p>{column("reason")}</p>'
    )


def changes_look(colours: Mapping[str, Colour]) -> Look:
    """Polygons of a detection: colour by class, stronger with the probability.

    Args:
        colours: of each class, those of the mask.
    """
    tip = (
        '<p><b>[% "class" %]</b>, [% format_number("area_m2", 0) %] m\u00b2</p>'
        '<p>mean probability [% round("mean_probability", 2) %], highest [% round("max_probability", 2) %]</p>'
        f"<p>{column('id')}</p>"
    )
    entries = tuple(Entry(name, name, _small(colour[:3])) for name, colour in colours.items())
    label = """"class" || ', ' || CASE WHEN "area_m2" < 1000 THEN format_number("area_m2", 0) || ' m\u00b2' """
    label += """ELSE format_number("area_m2" / 10000, 1) || ' ha' END"""
    return Look("rsccli changes", "class", entries, tip, label=label, strength='"mean_probability"')


def answers_look(questions: Sequence[str]) -> Look:
    """Answers about tiles: colour by what they say, one section for each question, the first one shown."""
    entries = (
        Entry("yes", "yes", _paint((214, 54, 31), 60, width=0.9)),
        Entry("no", "no", _paint((79, 138, 102), 18, 170, 0.25)),
        Entry("answered", "answered, neither yes nor no", _paint((0, 114, 178), 40, width=0.9)),
        Entry("unsure", "unsure", _paint((217, 148, 10), 25, width=0.6, dashed=True)),
        Entry("cannot_answer", "cannot answer", _paint((119, 149, 176), 60, 170, 0.25)),
        *_STATUSES[3:6],
        Entry("model_error", "could not be asked", _STATUSES[6].paint),
    )
    tip = (
        f"<p>{column('question')}</p><p><b>{column('answer')}</b></p>"
        f'<p>{column("tile")}: [% "status" %]</p><p>{column("reason")}</p>'
    )
    sections = tuple(
        Section(f"{number}. {question}", f'"question_number" = {number}', number == 1)
        for number, question in enumerate(questions, 1)
    )
    label = (
        "CASE WHEN \"question_number\" = 1 AND \"status\" = 'answered' AND coalesce(\"verdict\", '') <> 'no' "
        'THEN "answer" END'
    )
    return Look("rsccli answers", 'coalesce("verdict", "status")', entries, tip, sections, label)


def places_look(phrases: Sequence[str]) -> Look:
    """Polygons and boxes of phrases: colour by phrase; tiles whose answer could not be read are grey."""
    found = tuple(
        Entry(str(number), phrase, _small(_PHRASES[(number - 1) % len(_PHRASES)]))
        for number, phrase in enumerate(phrases, 1)
    )
    unread = (
        Entry("malformed", "answer could not be read", _paint(_UNREAD, 25, 200, 0.3, True)),
        Entry("read_error", "tile could not be read", _STATUSES[5].paint),
        Entry("model_error", "tile could not be asked", _STATUSES[6].paint),
    )
    kind = shown('coalesce("class", "label")')
    tip = (
        f"<p><b>{column('phrase')}</b> {kind}</p>"
        "<p>[% coalesce(format_number(\"area_m2\", 0) || ' m\u00b2', '') %]</p>"
        f'<p>[% "kind" %], [% "status" %]</p><p>{column("reason")}</p><p>{column("answer")}</p>'
    )
    return Look(
        "rsccli places",
        'CASE WHEN "status" = \'found\' THEN to_string("phrase_number") ELSE "status" END',
        (*found, *unread),
        tip,
    )
