"""What a change may be about: words of a question or a phrase, classes of the mask, keywords of the captioner.

One table for `rsccli ask` and `rsccli ground`. A word that is not in it is not understood, and nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: The class of what has no class of its own: parts of it cannot be told apart at all.
OTHER = "other"


@dataclass(frozen=True)
class Subject:
    """One thing that can change.

    Attributes:
        name: for sentences, in the plural or as a mass. class_name: see `rsccli.models.small.detect`.
        gained: keywords of it that came. lost: that went. damaged: that stayed, but not whole.
        words: that name it, lower case; several words of one name with single spaces.
        whole: whether it is all of its class: parts of a class cannot be told from the rest of it in the mask.
        change: whether the word itself tells of a change, as "flood" does; "is there X?" is a question of change then.
        counted: whether separate parts of the mask are separate things.
    """

    name: str
    class_name: str
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=())
    whole: bool = True
    change: bool = False
    counted: bool = False

    @property
    def keywords(self) -> tuple[str, ...]:
        """All keywords of it."""
        return (*self.gained, *self.lost, *self.damaged)


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "buildings",
        "building",
        gained=("new house", "new building"),
        lost=("building removed",),
        damaged=("building damage",),
        words=("building", "buildings", "house", "houses", "home", "homes", "roof", "roofs", "structure", "structures"),
        counted=True,
    ),
    Subject(
        "roads",
        "road",
        gained=("new road", "parking lot"),
        lost=("road removed",),
        words=(
            "road",
            "roads",
            "street",
            "streets",
            "track",
            "tracks",
            "pavement",
            "highway",
            "highways",
            "path",
            "paths",
        ),
    ),
    Subject(
        "parking lots",
        "road",
        gained=("parking lot",),
        words=("parking lot", "parking lots", "car park", "car parks", "parking"),
        whole=False,
    ),
    Subject(
        "vegetation",
        "vegetation",
        gained=("greener vegetation", "new trees"),
        lost=("drier vegetation", "tree loss"),
        words=(
            *("vegetation", "plant", "plants", "grass", "lawn", "lawns", "green", "greenery", "crop", "crops", "field"),
            *("fields", "meadow", "meadows"),
        ),
    ),
    Subject(
        "trees",
        "vegetation",
        gained=("new trees",),
        lost=("tree loss",),
        words=("tree", "trees", "forest", "forests", "wood", "woods", "woodland", "shrub", "shrubs"),
        whole=False,
    ),
    Subject(
        "deforestation",
        "vegetation",
        lost=("tree loss",),
        words=("deforestation", "logging", "tree loss"),
        whole=False,
        change=True,
    ),
    Subject(
        "water",
        "water",
        gained=("flood", "water gain"),
        lost=("water loss",),
        words=(
            *("water", "pond", "ponds", "lake", "lakes", "river", "rivers", "stream", "streams", "reservoir", "canal"),
            *("wetland", "wetlands", "shore", "shoreline", "coast", "coastline", "sea"),
        ),
    ),
    Subject(
        "floods",
        "water",
        gained=("flood",),
        words=("flood", "floods", "flooding", "flooded", "inundation", "inundated", "submerged", "under water"),
        whole=False,
        change=True,
    ),
    Subject(
        "bare soil",
        "bare soil",
        gained=("bare soil",),
        words=("bare soil", "bare ground", "bare earth", "soil", "earth", "sand", "dirt"),
    ),
    Subject(
        "construction sites",
        "building",
        gained=("construction site",),
        words=(
            "construction",
            "construction site",
            "construction sites",
            "building site",
            "building sites",
            "earthworks",
        ),
        whole=False,
        change=True,
    ),
    Subject(
        "mud",
        "debris",
        gained=("mud",),
        words=("mud", "mudslide", "mudslides"),
        whole=False,
        change=True,
    ),
    Subject(
        "burn scars",
        "burn",
        gained=("burn scar",),
        words=("burn", "burns", "burnt", "burned", "burn scar", "burn scars", "fire", "fires", "wildfire", "wildfires"),
        change=True,
    ),
    Subject(
        "debris",
        "debris",
        gained=("debris",),
        words=("debris", "rubble", "wreckage", "ruins"),
        change=True,
    ),
    Subject(
        "swimming pools",
        "water",
        gained=("swimming pool",),
        words=("swimming pool", "swimming pools", "pool", "pools"),
        whole=False,
        counted=True,
    ),
    Subject(
        "sports fields",
        OTHER,
        gained=("sports field",),
        words=("sports field", "sports fields", "playing field", "playing fields", "pitch", "pitches"),
        whole=False,
    ),
    Subject(
        "solar panels", OTHER, gained=("solar panels",), words=("solar panel", "solar panels", "solar"), whole=False
    ),
    Subject("boats", OTHER, gained=("boats",), words=("boat", "boats", "ship", "ships"), whole=False),
    Subject("snow", OTHER, gained=("snow",), lost=("snow melted",), words=("snow",), whole=False),
)
#: Words by what they name.
BY_WORD: dict[str, Subject] = {word: subject for subject in SUBJECTS for word in subject.words}
#: Most words that one name has.
LONGEST = max(len(word.split()) for word in BY_WORD)


def find_subjects(words: list[str]) -> tuple[list[Subject], list[str]]:
    """The subjects that a list of lower-case words names, in order, and the words that name none.

    The longest name wins: "parking lot" is not a lot.
    """
    found: list[Subject] = []
    rest: list[str] = []
    at = 0
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            subject = BY_WORD.get(" ".join(words[at : at + length]))
            if subject is not None:
                if subject not in found:
                    found.append(subject)
                at += length
                break
        else:
            rest.append(words[at])
            at += 1
    return found, rest
