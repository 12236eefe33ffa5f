"""Which MR sequence a DICOM series is, read from its header's words and acquisition parameters.

Only FLAIR, T1 and contrast-enhanced T1 are told apart; everything else has no role here. Words of the series and
protocol name come first (technicians' spelling, several vendors), acquisition parameters where the words say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from BrainTumorSegLib.engine.study.roles import Role

# DICOM attributes that the choice depends on, as SimpleITK spells their tags. None of them identifies a patient.
IMAGE_TYPE = "0008|0008"
SERIES_DESCRIPTION = "0008|103e"
CONTRAST_AGENT = "0018|0010"
SCANNING_SEQUENCE = "0018|0020"
SEQUENCE_NAME = "0018|0024"
REPETITION_TIME = "0018|0080"
ECHO_TIME = "0018|0081"
INVERSION_TIME = "0018|0082"
PROTOCOL_NAME = "0018|1030"
HINT_TAGS = (
    IMAGE_TYPE,
    SERIES_DESCRIPTION,
    CONTRAST_AGENT,
    SCANNING_SEQUENCE,
    SEQUENCE_NAME,
    REPETITION_TIME,
    ECHO_TIME,
    INVERSION_TIME,
    PROTOCOL_NAME,
)

_NO_VOLUME = re.compile(r"\b(loc\w*|scout|survey|3 ?plane|aahead\w*|mip|adc|trace\w*|screen ?save)\b")
_OTHER = re.compile(r"\b(t2\w*|dwi|dti|diff\w*|swi|swan|perf\w*|dsc|asl|bold|pd|tof|mra|ciss|fiesta|gre|hemo\w*)\b")
_FLAIR = re.compile(r"flair|\bdark ?fl\w*|\bt2? ?tirm\b|\btirm\b|\bir ?fse\b")
# A word of its own, perhaps with the plane before it: the "t1" of "patient1" or "REST1" says nothing.
_T1 = re.compile(
    r"(?<![a-z0-9])(?:ax|axi|axial|tra|trans|sag|cor|3d|2d|e)?t1(?!\d)|mp2?rage|spgr|bravo|\btfe\b|\bvibe\b|\btfl ?3d\b"
)
_WITH_CONTRAST = re.compile(
    r"(?<![a-z0-9])(gd|gad\w*|post|contrast|contrasted|ce|ceax|cecor|cesag|km|mkm|enh\w*|t1(?:ce|c|gd|km)|c\+)(?![a-z0-9])"
    r"|\+ ?(c|gd|gad\w*|km|contrast)\b|\bc ?\+"
)
_WITHOUT_CONTRAST = re.compile(
    r"\b(pre|precontrast|pre ?gad\w*|nativ\w*|ohne|without|w ?/ ?o|non ?contrast|unenhanced|no ?(contrast|gad\w*))\b"
)
# BIDS names say who and when before they say what: "ses-post" is a session, not contrast.
_ENTITY = re.compile(r"(?<![a-z0-9])(?:sub|ses|run)-[a-z0-9]+")
_NO_AGENT = {"", "none", "no", "n", "0"}


def role_of(tags: Mapping[str, str]) -> Role | None:
    """The role that a series' header speaks for, None if it is another sequence or can't be told.

    ``tags`` maps SimpleITK tag keys (those of HINT_TAGS that the header holds) to their text.
    """
    if not is_volume(tags):
        return None
    text = _words(tags)
    if _T1.search(text) and not (_FLAIR.search(text) and _echo_says_flair(tags)):
        return _t1_kind(text, tags)
    if _FLAIR.search(text):
        return Role.FLAIR
    if _OTHER.search(text):
        return None
    return _role_by_parameters(text, tags)


def is_volume(tags: Mapping[str, str]) -> bool:
    """False for localisers, projections and maps, which no role can use."""
    image_type = tags.get(IMAGE_TYPE, "").upper()
    unusable = ("LOCALIZER", "PROJECTION", "MIP", "\\ADC", "SCREEN")
    return not _NO_VOLUME.search(_words(tags)) and not any(word in image_type for word in unusable)


def _words(tags: Mapping[str, str]) -> str:
    """Series description and protocol name, lower case, separators as spaces."""
    text = f"{tags.get(SERIES_DESCRIPTION, '')} | {tags.get(PROTOCOL_NAME, '')}".lower()
    text = _ENTITY.sub(" ", text)
    return re.sub(r"[_\-.,;:()\[\]\s]+", " ", text)


def _t1_kind(text: str, tags: Mapping[str, str]) -> Role:
    if _WITHOUT_CONTRAST.search(text):
        return Role.T1
    agent = tags.get(CONTRAST_AGENT, "").strip().lower()
    return Role.T1C if agent not in _NO_AGENT or _WITH_CONTRAST.search(text) else Role.T1


def _echo_says_flair(tags: Mapping[str, str]) -> bool:
    """T1-weighted FLAIR (inversion 700-1000 ms, echo under 30 ms) is a T1; with a long echo it is T2 FLAIR."""
    return _number(tags, ECHO_TIME) >= 60


def _role_by_parameters(text: str, tags: Mapping[str, str]) -> Role | None:
    """Fluid is nulled at an inversion time of 1500-3000 ms; short echo and short repetition weight T1.

    Ranges: Westbrook, MRI in Practice (2018), tables of inversion recovery and of spin and gradient echo at 1.5-3 T.
    """
    echo, repetition, inversion = (_number(tags, tag) for tag in (ECHO_TIME, REPETITION_TIME, INVERSION_TIME))
    if 1500 <= inversion <= 3000 and echo >= 60:
        return Role.FLAIR
    magnetisation_prepared = 600 <= inversion <= 1300 and 0 < echo < 30
    spin_echo = "SE" in tags.get(SCANNING_SEQUENCE, "") and 300 <= repetition <= 900 and 0 < echo < 30
    if magnetisation_prepared or spin_echo:
        return _t1_kind(text, tags)
    return None


def _number(tags: Mapping[str, str], tag: str) -> float:
    """The first value of a numeric attribute, 0 where it is absent or not a number."""
    try:
        return float(tags.get(tag, "").split("\\")[0])
    except ValueError:
        return 0.0


def _dashes_as_gaps(name: str) -> str:
    """A dash parts words as an underscore does, but for those that join a key of BIDS and its value."""
    return re.sub(r"(?<![A-Za-z0-9])((?:sub|ses|run|ce)-(?=[A-Za-z0-9]))|-", lambda found: found[1] or "_", name)


# Whole words of a file's name that tell sequences of one study apart, and say nothing of the patient or the session.
_SEQUENCE_WORD = re.compile(
    r"(?:ax|sag|cor|tra|3d)?(?:t1(?:w|wi|c|ce|gd|km)?|t2(?:w|wi)?|(?:t2)?flair(?:w)?|fl)|ce-?\w*|gd|gad\w*|contrast|km"
    r"|ax|axial|sag|sagittal|cor|coronal|tra|3d|2d"
)
_OF_T1_ALONE = ("pre", "post")


def name_without_sequence(name: str) -> str:
    """What is left of a file's name, its ending removed, without the words that say which sequence it holds.

    Two files are of one study only if this is the same of both. "pre" and "post" speak of contrast beside a T1 and of
    the session elsewhere.

    >>> name_without_sequence("patient1_T1_post"), name_without_sequence("patient1_post_flair")
    ('patient1', 'patient1_post')
    """
    words = re.split(r"([_.\s]+)", _dashes_as_gaps(name))
    texts, gaps = words[::2], ["", *words[1::2]]
    is_sequence = [bool(_SEQUENCE_WORD.fullmatch(text.lower())) for text in texts]
    is_t1 = [bool(re.fullmatch(r"(?:ax|sag|cor|tra|3d)?t1\w*", text.lower())) for text in texts]
    kept = []
    for index, text in enumerate(texts):
        beside_t1 = any(is_t1[near] for near in (index - 1, index + 1) if 0 <= near < len(texts))
        if is_sequence[index] or (text.lower() in _OF_T1_ALONE and beside_t1):
            continue
        kept.append((gaps[index], text))
    return "".join(gap + text for gap, text in kept).strip("_. -")
