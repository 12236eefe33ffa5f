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
# Values of the image type that no role can use: phase, real and imaginary parts, maps, projections, tiled pictures.
_NO_VOLUME_TYPES = {
    *("LOCALIZER", "PROJECTION IMAGE", "MIP", "MIN IP", "MNIP", "ADC", "SCREEN SAVE", "SCREEN", "MOSAIC"),
    *("P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "VELOCITY MAP"),
}
_FLAIR = re.compile(
    r"flair|\b(?:dark|da) ?fl\w*|\bfluid ?att\w*|\bflr\b|\bt2w? ?fl\b|\bt2f\b|\bt2? ?tirm\b|\btirm\b|\bir ?[ft]se\b"
)
# What else a series can be, as whole words. The first that is found names it.
_OTHERS = {
    "diffusion": re.compile(r"\b(?:dwi\w*|dti\w*|diff\w*|adc|trace\w*|tensor)\b"),
    "perfusion": re.compile(r"\b(?:perf\w*|dsc|dce|asl|pcasl|cbf|cbv)\b"),
    "functional MR": re.compile(r"\b(?:bold|fmri)\b"),
    "susceptibility-weighted": re.compile(r"\b(?:swi\w*|swan|hemo\w*|t2 ?\*|gre)"),
    "an angiogram": re.compile(r"\b(?:tof|mra|mrv|angio\w*)\b"),
    "cisternography": re.compile(r"\b(?:ciss|fiesta)\b"),
    "T2": re.compile(r"(?<![a-z0-9])(?:ax|axi|axial|tra|trans|sag|cor|3d|2d|e)?t2(?!\d)\w*"),
    "proton density": re.compile(r"\b(?:pdw?|dp)\b"),
}
# A word of its own, perhaps with the plane before it: the "t1" of "patient1" or "REST1" says nothing.
_T1_WORD = re.compile(r"(?<![a-z0-9])(?:ax|axi|axial|tra|trans|sag|cor|3d|2d|e)?t1(?!\d)")
_T1_TECHNIQUE = re.compile(r"mp2?rage|spgr|bravo|\btfe\b|\bvibe\b|\btfl ?3d\b")
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
    # What the technician called the series counts most: a protocol's name can be that of the whole examination.
    for tag in (SERIES_DESCRIPTION, PROTOCOL_NAME):
        said = _said(_words(tags, tag), tags)
        if said is not None:
            return said if isinstance(said, Role) else None
    return _role_by_parameters(tags)


def contradiction(tags: Mapping[str, str], role: Role) -> str | None:
    """What the series is if its description or acquisition parameters say clearly that it can't play the role.

    Returns users' word for it ("T2", "diffusion"), None where it may play the role: T1 with and without contrast are
    not told apart here, since only words part them.
    """
    said = _said(_words(tags, SERIES_DESCRIPTION), tags) or _role_by_parameters(tags)
    if said is None or (isinstance(said, Role) and (said is Role.FLAIR) == (role is Role.FLAIR)):
        return None
    return said.label if isinstance(said, Role) else said


def is_volume(tags: Mapping[str, str]) -> bool:
    """False for localisers, projections, phases and maps, which no role can use."""
    types = {value.strip() for value in tags.get(IMAGE_TYPE, "").upper().replace("_", " ").split("\\")[2:]}
    words = f"{_words(tags, SERIES_DESCRIPTION)} | {_words(tags, PROTOCOL_NAME)}"
    return not _NO_VOLUME.search(words) and not types & _NO_VOLUME_TYPES


def _words(tags: Mapping[str, str], tag: str) -> str:
    """A text in lower case, separators as spaces."""
    text = _ENTITY.sub(" ", tags.get(tag, "").lower())
    return re.sub(r"[_\-.,;:()\[\]\s]+", " ", text)


def _said(text: str, tags: Mapping[str, str]) -> Role | str | None:
    """What words say that a series is: a role, or users' word for another sequence."""
    is_flair, is_t2 = bool(_FLAIR.search(text)), bool(_OTHERS["T2"].search(text))
    is_t1 = bool(_T1_WORD.search(text)) or (not is_flair and bool(_T1_TECHNIQUE.search(text)))
    if is_t1 and not (is_flair and (is_t2 or _echo_says_flair(tags))):
        return _t1_kind(tags)
    if is_flair:
        return Role.FLAIR
    other = next((name for name, words in _OTHERS.items() if words.search(text)), None)
    return Role.FLAIR if other == "T2" and _fluid_is_nulled(tags) else other


def _t1_kind(tags: Mapping[str, str]) -> Role:
    text = f"{_words(tags, SERIES_DESCRIPTION)} | {_words(tags, PROTOCOL_NAME)}"
    if _WITHOUT_CONTRAST.search(text):
        return Role.T1
    agent = tags.get(CONTRAST_AGENT, "").strip().lower()
    return Role.T1C if agent not in _NO_AGENT or _WITH_CONTRAST.search(text) else Role.T1


def _echo_says_flair(tags: Mapping[str, str]) -> bool:
    """T1-weighted FLAIR (inversion 700-1000 ms, echo under 30 ms) is a T1; with a long echo it is T2 FLAIR."""
    return _number(tags, ECHO_TIME) >= 60


def _fluid_is_nulled(tags: Mapping[str, str]) -> bool:
    return 1500 <= _number(tags, INVERSION_TIME) <= 3000 and _number(tags, ECHO_TIME) >= 60


def _role_by_parameters(tags: Mapping[str, str]) -> Role | None:
    """Fluid is nulled at an inversion time of 1500-3000 ms; short echo and short repetition weight T1.

    Ranges: Westbrook, MRI in Practice (2018), tables of inversion recovery and of spin and gradient echo at 1.5-3 T.
    """
    echo, repetition, inversion = (_number(tags, tag) for tag in (ECHO_TIME, REPETITION_TIME, INVERSION_TIME))
    if _fluid_is_nulled(tags):
        return Role.FLAIR
    magnetisation_prepared = 600 <= inversion <= 1300 and 0 < echo < 30
    spin_echo = "SE" in tags.get(SCANNING_SEQUENCE, "") and 300 <= repetition <= 900 and 0 < echo < 30
    return _t1_kind(tags) if magnetisation_prepared or spin_echo else None


def _number(tags: Mapping[str, str], tag: str) -> float:
    """The first value of a numeric attribute, 0 where it is absent or not a number."""
    try:
        return float(tags.get(tag, "").split("\\")[0])
    except ValueError:
        return 0.0


_GAP = "\0"  # no name holds it


def _dashes_as_gaps(name: str) -> str:
    """With _GAP for each dash, which parts words, but for those that join a key of BIDS and its value."""
    return re.sub(r"(?<![A-Za-z0-9])((?:sub|ses|run|ce)-(?=[A-Za-z0-9]))|-", lambda found: found[1] or _GAP, name)


# Whole words of a file's name that tell sequences of one study apart, and say nothing of the patient or the session.
_SEQUENCE_WORD = re.compile(
    r"(?:ax|sag|cor|tra|3d)?(?:t1(?:w|wi|n|c|ce|gd|km)?|t2(?:w|wi|f)?|(?:t2)?flair(?:w)?|fl)|ce-?\w*|gd|gad\w*|contrast|km"
    r"|ax|axial|sag|sagittal|cor|coronal|tra|3d|2d"
)
_OF_T1_ALONE = ("pre", "post")
# How it was made, as scanners write it behind the sequence: elsewhere such a word may be somebody's.
_TECHNIQUE_WORD = re.compile(r"tirm|tse|fse|mprage|mp2rage|spgr|vibe|dark|fluid")
_TECHNIQUE_OF_T1 = "se"


def name_without_sequence(name: str) -> str:
    """What is left of a file's name, its ending removed, without the words that say which sequence it holds.

    Two files are of one study only if this is the same of both. "pre" and "post" speak of contrast beside a T1 and of
    the session elsewhere; "tse" and its like count behind the sequence alone.

    >>> name_without_sequence("patient1_T1_post"), name_without_sequence("patient1_post_flair")
    ('patient1', 'patient1_post')
    """
    words = re.split(rf"([_.\s{_GAP}]+)", _dashes_as_gaps(name))
    texts, gaps = words[::2], ["", *words[1::2]]
    is_sequence = [bool(_SEQUENCE_WORD.fullmatch(text.lower())) for text in texts]
    is_t1 = [bool(re.fullmatch(r"(?:ax|sag|cor|tra|3d)?t1\w*", text.lower())) for text in texts]
    for index in range(1, len(texts)):
        text, of_t1 = texts[index].lower(), is_t1[index - 1] and texts[index].lower() == _TECHNIQUE_OF_T1
        is_sequence[index] |= is_sequence[index - 1] and (of_t1 or bool(_TECHNIQUE_WORD.fullmatch(text)))
    kept = []
    for index, text in enumerate(texts):
        beside_t1 = any(is_t1[near] for near in (index - 1, index + 1) if 0 <= near < len(texts))
        if is_sequence[index] or (text.lower() in _OF_T1_ALONE and beside_t1):
            continue
        kept.append((gaps[index], text))
    return "".join(gap + text for gap, text in kept).replace(_GAP, "-").strip("_. -")
