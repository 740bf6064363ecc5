"""From the text as typed to words that can be matched, each with its place in the text as given.

Disguises (look-alike letters, markup, spacing, leet, joined or censored words, shorthand, typing
errors) give further readings beside the plain one. It must never lose a word and never invent one
that an ordinary reader would not see.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from anyascii import anyascii

from breakwater.safety.match import STRONG, Reading

MAX_JOINED = 400  # letters of one unspaced word that is taken apart; longer ones are read in pieces

_TAGS = (
    "a|abbr|article|b|big|blockquote|body|br|button|center|code|dd|del|details|div|dl|dt|em|figure|font|footer|"
    "form|h[1-6]|head|header|hr|html|i|img|input|ins|kbd|label|li|main|mark|nav|ol|option|p|pre|q|s|script|"
    "section|select|small|span|strike|strong|style|sub|summary|sup|table|tbody|td|textarea|th|thead|title|"
    "tr|tt|u|ul|wbr"
)
_MARKUP = re.compile(
    rf"</?(?P<tag>{_TAGS})(?:\s[^<>]{{0,300}}=[^<>]{{0,300}})?\s{{0,3}}/?>|&(?:#\d{{1,7}}|#x[0-9a-f]{{1,6}}|[a-z]{{2,10}}\d?);",
    re.IGNORECASE,
)
_INLINE = frozenset(
    ("a", "abbr", "b", "big", "code", "del", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "s",
     "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr")
)  # fmt: skip
_CHUNK = re.compile(r"\S+")
_PLAIN = re.compile(r"[a-z]+")
_PIECE = re.compile(r"[a-z0-9]+(?:'+[a-z]+)*|[\ue000-\uf8ff]")
_ELONGATED = re.compile(r"([a-z])\1{2,}")
_LEET = str.maketrans("034579@$€!|+8", "oeastgaseiltb")
_LEET_MARKS = frozenset("0134579@$€!|+8")
_WILD = re.compile(r"[*#_.•-]+")

# Letters of other scripts that look like a Latin letter without sounding like it: anyascii goes by sound.
_LOOKALIKES = dict(
    zip(
        "абвекмнорстухіјѕһԁԛԝѵгпьІαβεικνορτυχωηγɑɡıʟ",
        "abbekmhopctyxijshdqwvrnblabeiknoptuxwnyagil",
        strict=True,
    )
)


@dataclass(frozen=True)
class Lexicon:
    """What normalisation must know of the languages and of the rule book's own words."""

    expand: dict[str, tuple[str, ...]] = field(default_factory=dict)  # one word that stands for these words
    also: dict[str, tuple[str, ...]] = field(default_factory=dict)  # ambiguous shorthand: may also be these
    emoji: dict[str, str] = field(default_factory=dict)  # character → name such as gun
    plain: frozenset[str] = frozenset()  # ordinary words: never corrected, used to take joined words apart
    known: frozenset[str] = frozenset()  # every word of the rule book
    keys: frozenset[str] = frozenset()  # words worth finding under a disguise
    english: frozenset[str] = frozenset()
    spanish: frozenset[str] = frozenset()
    deletes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # spelling index, see spelling_index
    fold: dict[str, str] = field(default_factory=dict)  # remembered characters

    def name_of(self, private: str) -> str:
        return f":{tuple(self.emoji.values())[ord(private) - 0xE000]}:"


def spelling_index(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each key with one letter left out → the keys: finds one wrong, missing, added or swapped letter."""
    out: dict[str, set[str]] = {}
    for key in keys:
        if len(key) < 6:
            continue
        for form in {key, *(key[:i] + key[i + 1 :] for i in range(len(key)))}:
            out.setdefault(form, set()).add(key)
    return {form: tuple(sorted(found)) for form, found in out.items()}


def read(text: str, lexicon: Lexicon) -> list[Reading]:
    """The plain reading, and a second one when something in the text is joined, split or disguised."""
    folded, places = fold(text, lexicon)
    reading = Reading()
    swaps: list[tuple[int, int, tuple[str, ...]]] = []
    _Tokeniser(lexicon, folded, reading, swaps).run()
    _spaced(reading, swaps, lexicon)
    _dictated(reading, swaps)
    if places is not None:
        reading.starts = [places[start] for start in reading.starts]
        reading.ends = [places[end - 1] + 1 for end in reading.ends]
    if not swaps:
        return [reading]
    return [reading, _swapped(reading, swaps, lexicon)]


def plain_words(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    """The words of a rule's own text, read as a message's would be but without guessing."""
    if text.startswith(":") and text.endswith(":") and len(text) > 2:
        return (text,)
    folded, _ = fold(text, lexicon)
    out: list[str] = []
    for piece in _PIECE.findall(folded):
        word = piece.replace("'", "")
        out.extend(lexicon.expand.get(piece) or lexicon.expand.get(word) or (word,))
    return tuple(out)


def fold(text: str, lexicon: Lexicon) -> tuple[str, list[int] | None]:
    """Lower-case Latin text without marks, accents or invisible characters, and where each character was."""
    places: list[int] | None = None
    if "<" in text or "&" in text:
        text, places = _without_markup(text)
    if text.isascii():
        return text.lower(), places
    out: list[str] = []
    at: list[int] = []
    known = lexicon.fold
    for index, char in enumerate(text):
        new = known.get(char)
        if new is None:
            new = _fold_char(char, lexicon)
            if len(known) < 20_000:
                known[char] = new
        if new:
            out.append(new)
            at.extend([index if places is None else places[index]] * len(new))
    return "".join(out), at


def _without_markup(text: str) -> tuple[str, list[int] | None]:
    out: list[str] = []
    places: list[int] = []
    done = 0
    for found in _MARKUP.finditer(text):
        out.append(text[done : found.start()])
        places.extend(range(done, found.start()))
        done = found.end()
        tag = found.group("tag")
        new = ("" if tag.lower() in _INLINE else "\n") if tag else html.unescape(found.group())
        out.append(new)
        places.extend([found.start()] * len(new))
    if not done:
        return text, None
    out.append(text[done:])
    places.extend(range(done, len(text)))
    return "".join(out), places


def _fold_char(char: str, lexicon: Lexicon) -> str:
    if char < "\x80":
        return char.lower()
    if char in lexicon.emoji:
        return f" {chr(0xE000 + list(lexicon.emoji).index(char))} "
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Me", "Cc") and char != "\x85":
        return ""
    if category in ("Zl", "Zp") or char == "\x85":
        return "\n"
    if category[0] in "ZC":
        return " "
    if char in "’‘ʼ′´＇`‛":
        return "'"
    if category in ("Pi", "Pf"):
        return '"'
    if category == "Pd":
        return "-"
    if char == "…":
        return "..."
    if char in "¿¡":
        return "\n"
    if char == "€":
        return char
    letters = "".join(c for c in unicodedata.normalize("NFKD", char) if unicodedata.category(c) != "Mn")
    out = []
    for letter in letters.lower():
        if letter < "\x80":
            out.append(letter)
        elif letter in _LOOKALIKES:
            out.append(_LOOKALIKES[letter])
        else:
            latin = anyascii(letter).lower()
            if category[0] in "LN" or (len(latin) == 1 and latin.isalpha()):
                out.append(latin)
            else:
                out.append(" ")
    return "".join(out)


class _Tokeniser:
    def __init__(
        self,
        lexicon: Lexicon,
        text: str,
        reading: Reading,
        swaps: list[tuple[int, int, tuple[str, ...]]],
    ) -> None:
        self.lexicon = lexicon
        self.text = text
        self.reading = reading
        self.swaps = swaps
        self.pending = STRONG  # the break before the next word
        self.seen: dict[str, tuple[str, ...]] = {}
        self.leet = 0

    def run(self) -> None:
        text = self.text
        expand, known, plain = self.lexicon.expand, self.lexicon.known, self.lexicon.plain
        also = self.lexicon.also
        reading = self.reading
        words, starts, ends, breaks = reading.words, reading.starts, reading.ends, reading.breaks
        done = 0
        several = "\n" in text or "\r" in text
        for found in _CHUNK.finditer(text):
            start, end = found.span()
            if several and start > done:
                between = text[done:start]
                if "\n" in between or "\r" in between:
                    self.pending = STRONG
            done = end
            chunk = found.group()
            if (chunk in known or chunk in plain) and chunk not in expand and chunk not in also:
                words.append(chunk)
                starts.append(start)
                ends.append(end)
                breaks.append(self.pending)
                self.pending = 0
            elif _PLAIN.fullmatch(chunk):
                self.word(chunk, start, end)
            else:
                self.chunk(chunk, start)

    def emit(self, word: str, start: int, end: int) -> None:
        reading = self.reading
        reading.words.append(word)
        reading.starts.append(start)
        reading.ends.append(end)
        reading.breaks.append(self.pending)
        self.pending = 0

    def word(self, word: str, start: int, end: int) -> None:
        """One word of letters only: shorthand opened, stretched letters and typing errors mended."""
        lexicon = self.lexicon
        opened = lexicon.expand.get(word)
        if opened is not None:
            for part in opened:
                self.emit(part, start, end)
            return
        place = len(self.reading.words)
        self.emit(word, start, end)
        others = lexicon.also.get(word)
        if others is None:
            if word in lexicon.known or word in lexicon.plain or len(word) < 3:
                return
            others = self.seen.get(word)
            if others is None:
                others = self.seen[word] = _mended(word, lexicon)
        single = tuple(other for other in others if " " not in other)
        if single:
            self.reading.alts[place] = self.reading.alts.get(place, ()) + single
        for other in others:
            if " " in other:
                self.swaps.append((place, place + 1, tuple(other.split())))
                break

    def chunk(self, chunk: str, start: int) -> None:
        """A run without spaces that holds more than letters."""
        lexicon = self.lexicon
        if len(chunk) > 4000:  # nothing of this length is one word in disguise
            self.pieces(chunk, start)
            return
        core_start = 0
        core_end = len(chunk)
        while core_start < core_end and chunk[core_start] in "\"'([{<>}])*_~`.,;:?!-=|/\\#+^%&":
            core_start += 1
        while core_end > core_start and chunk[core_end - 1] in "\"'([{<>}])*_~`.,;:?!-=|/\\#+^%&":
            core_end -= 1
        core = chunk[core_start:core_end]
        head, tail = chunk[:core_start], chunk[core_end:]
        if not core:
            self.punctuation(chunk)
            return
        self.punctuation(head)
        at = start + core_start
        bare = core.replace("'", "")
        if _PLAIN.fullmatch(bare):
            self.apostrophe(core, bare, at)
        else:
            first = len(self.reading.words)
            self.pieces(core, at)
            last = len(self.reading.words)
            hidden = _hidden(core, chunk, lexicon) if last > first else ()
            if hidden:
                self.swaps[:] = [swap for swap in self.swaps if swap[0] < first]
                self.swaps.append((first, last, hidden))
        self.punctuation(tail)

    def apostrophe(self, core: str, bare: str, at: int) -> None:
        if core == bare:
            self.word(bare, at, at + len(core))
            return
        opened = self.lexicon.expand.get(core)
        if opened is not None:
            for part in opened:
                self.emit(part, at, at + len(core))
            return
        place = len(self.reading.words)
        self.word(bare, at, at + len(core))
        if core.endswith("'s") and len(self.reading.words) == place + 1:
            self.reading.alts[place] = (*self.reading.alts.get(place, ()), core[:-2].replace("'", ""))

    def pieces(self, core: str, at: int) -> None:
        done = 0
        many = 0
        for found in _PIECE.finditer(core):
            if found.start() > done:
                self.punctuation(core[done : found.start()])
            done = found.end()
            piece = found.group()
            start, end = at + found.start(), at + found.end()
            many += 1
            if "\ue000" <= piece <= "\uf8ff":
                self.emit(self.lexicon.name_of(piece), start, end)
                continue
            bare = piece.replace("'", "")
            if _PLAIN.fullmatch(bare):
                self.apostrophe(piece, bare, start)
                continue
            opened = self.lexicon.expand.get(bare)
            if opened is not None:
                for part in opened:
                    self.emit(part, start, end)
                continue
            place = len(self.reading.words)
            self.emit(bare, start, end)
            others = self.lexicon.also.get(bare)
            if others:
                self.reading.alts[place] = others
            elif bare.isdigit() is False:
                unleet = _unleet(bare, self.lexicon)
                if unleet:
                    self.reading.alts[place] = unleet
        if done < len(core):
            self.punctuation(core[done:])

    def punctuation(self, marks: str) -> None:
        if not marks:
            return
        if "..." in marks or ".." in marks:
            # Trailing dots join more often than they end: "end ... it ... all".
            self.pending = max(self.pending, 1)
            return
        if any(mark in marks for mark in ".!?;\n"):
            self.pending = STRONG
        elif any(mark in marks for mark in ',:()[]{}"|=>/-'):
            self.pending = max(self.pending, 1)


def _mended(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    """What an unknown word of letters may be: stretched, misspelt, or several words without spaces."""
    known, plain = lexicon.known, lexicon.plain
    out: list[str] = []
    base = word
    if _ELONGATED.search(word):
        runs = list(_ELONGATED.finditer(word))[:4]
        forms = []
        for sizes in product((1, 2), repeat=len(runs)):
            pieces, done = [], 0
            for run, size in zip(runs, sizes, strict=True):
                pieces.append(word[done : run.start()])
                pieces.append(run.group(1) * size)
                done = run.end()
            pieces.append(word[done:])
            forms.append(_ELONGATED.sub(r"\1", "".join(pieces)))
        for form in forms:
            opened = lexicon.expand.get(form)
            if opened:
                out.append(" ".join(opened))
            elif form in known or form in plain:
                out.append(form)
            if form in lexicon.also:
                out.extend(lexicon.also[form])
        base = forms[0]
        if out:
            return tuple(dict.fromkeys(out))
        out.append(base)
    elif len(word) >= 4 and word[-1] == word[-2]:
        short = word[:-1]
        if short in known:
            return (short,)
    if word.endswith("in") and word + "g" in known:
        out.append(word + "g")  # "thinkin"
    if len(base) >= 5 and out[:1] != [word + "g"]:
        close = _close(base, lexicon)
        if close:
            return (*out, *close)
    if len(base) >= 6:
        parts = _apart(base, lexicon)
        if parts:
            return (*out, " ".join(parts))
    if base is not word and len(word) >= 8:
        parts = _apart(_ELONGATED.sub(r"\1\1", word), lexicon)
        if parts:
            return (*out, " ".join(parts))
    return tuple(out)


def _close(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Key words one typing error away that begin with the same letter (or with the first two swapped)."""
    index = lexicon.deletes
    if len(word) > 24:
        return ()
    candidates = set(index.get(word, ()))
    for at in range(len(word)):
        candidates.update(index.get(word[:at] + word[at + 1 :], ()))
    out = [
        key for key in candidates if (key[0] == word[0] or key[:2] == word[1::-1]) and _one_apart(word, key)
    ]
    return tuple(sorted(out))


def _one_apart(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 1:
        return False
    at = 0
    while at < len(a) and at < len(b) and a[at] == b[at]:
        at += 1
    if a[at + 1 :] == b[at + 1 :] or a[at + 1 :] == b[at:] or a[at:] == b[at + 1 :]:
        return True
    return a[at : at + 2] == b[at : at + 2][::-1] and a[at + 2 :] == b[at + 2 :]


def _apart(word: str, lexicon: Lexicon, spaced: bool = False) -> tuple[str, ...]:
    """A run of letters as known words, when it is wholly made of them and holds one worth finding.

    Letters that stood apart (`spaced`) were meant to be read one by one: two words are enough then.
    """
    if len(word) > MAX_JOINED:
        out: list[str] = []
        for at in range(0, min(len(word), 100_000), MAX_JOINED - 60):
            out.extend(_apart(word[at : at + MAX_JOINED], lexicon))
        return tuple(out)
    known, plain, expand, keys = lexicon.known, lexicon.plain, lexicon.expand, lexicon.keys
    size = len(word)
    best: list[tuple[int, int] | None] = [None] * (size + 1)  # (cost, where the last word began)
    best[0] = (0, 0)
    for at in range(size):
        here = best[at]
        if here is None:
            continue
        for end in range(at + 1, min(at + 14, size) + 1):
            part = word[at:end]
            length = end - at
            if length == 1:
                if part not in "iayuo":
                    continue
                cost = here[0] + 3
            elif part in known or part in plain or part in expand:
                cost = here[0] + (3 if length == 2 else 1 if part in keys else 2)
            else:
                continue
            there = best[end]
            if there is None or cost < there[0]:
                best[end] = (cost, at)
    if best[size] is None:
        return ()
    parts: list[str] = []
    at = size
    while at:
        began = best[at][1]  # type: ignore[index]
        parts.append(word[began:at])
        at = began
    parts.reverse()
    if len(parts) == 1 and parts[0] in known:
        return tuple(expand.get(parts[0], (parts[0],)))
    weighty = [part for part in parts if part in keys]
    if spaced and weighty:
        pass
    elif len(parts) == 2:  # "the rapist" stands in "therapist"; two words join only when both weigh
        if len(weighty) < 2 and not any(len(part) >= 8 for part in weighty):
            return ()
    elif not weighty and len(parts) < 3:
        return ()
    return tuple(word for part in parts for word in expand.get(part, (part,)))


def _unleet(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Known words that a piece with digits or signs in letters' places spells."""
    places = [i for i, mark in enumerate(word) if mark in "1"]
    if len(places) > 4 or len(word) > 30 or not any(c.isalpha() for c in word):
        return ()
    base = list(word.translate(_LEET))
    out = []
    for letters in product("il", repeat=len(places)):
        for place, letter in zip(places, letters, strict=True):
            base[place] = letter
        form = "".join(base)
        if not form.isalpha():
            return ()
        if form in lexicon.known or form in lexicon.plain:
            out.append(form)
        elif form in lexicon.expand:
            out.append(lexicon.expand[form][0])
        elif _ELONGATED.search(form):
            out.extend(f for f in _mended(form, lexicon) if " " not in f and f in lexicon.known)
        elif len(form) >= 6:
            out.extend(_close(form, lexicon))
    return tuple(dict.fromkeys(out))


def _hidden(core: str, chunk: str, lexicon: Lexicon) -> tuple[str, ...]:
    """The key word (or joined words) that a run with signs inside stands for, or nothing."""
    marks = sum(mark in _LEET_MARKS for mark in core)
    if marks and any(c.isalpha() for c in core):
        # A "!" may close a word or be its i: the run with and without its end is tried.
        for form in (core, chunk.rstrip(".,?;:\"')")):
            if not re.search(r"[^a-z0-9@$€!|+]", form):
                found = [w for w in _unleet(form, lexicon) if w in lexicon.keys]
                if found:
                    return (found[0],)
                if "1" in form or marks > 1:
                    flat = form.translate(_LEET).replace("1", "i")
                    if flat.isalpha() and len(flat) >= 7:
                        parts = _apart(flat, lexicon)
                        if parts:
                            return parts
    glued = re.sub(r"[^a-z0-9@$]", "", core)
    if glued != core and 3 <= len(glued) <= MAX_JOINED and len(core) <= 3 * len(glued):
        pieces = re.findall(r"[a-z0-9]+", core)
        shape = max(map(len, pieces))
        letters = glued if glued.isalpha() else (_unleet(glued, lexicon) or ("",))[0]
        plain_parts = all(part in lexicon.known or part in lexicon.plain for part in pieces if len(part) > 2)
        all_plain = all(len(part) > 2 and part in lexicon.plain for part in pieces)
        if (
            letters in lexicon.keys
            and (len(letters) >= 6 or not plain_parts)
            and (shape <= 2 or not all_plain)
        ):
            return (letters,)
        if len(letters) >= 6:
            close = [w for w in _close(letters, lexicon) if w in lexicon.keys]
            if close and letters not in lexicon.known and letters not in lexicon.plain:
                return (close[0],)
        if shape == 1 and len(letters) >= 5:
            parts = _apart(letters, lexicon)
            if parts:
                return parts
    if "*" in core or "#" in core or "_" in core or "-" in core or "." in core:
        censored = _censored(core, lexicon)
        if censored:
            return (censored,)
    return ()


def _censored(core: str, lexicon: Lexicon) -> str:
    """The one key word that fits letters with stars for some of them ("su*cide", "k**l")."""
    if len(core) > 16 or not core[0].isalpha() or not re.search(r"[*#]|[a-z][_.-]+[a-z]", core):
        return ""
    if not re.search(r"[*#]", core):
        return ""
    if sum(c.isalpha() for c in core) < 2:
        return ""
    pattern = re.compile(
        "".join(
            f"[a-z]{{1,{len(p) + 1}}}" if _WILD.fullmatch(p) else p
            for p in re.findall(r"[a-z]+|[^a-z]+", core)
            if _WILD.fullmatch(p) or p.isalpha()
        )
    )
    fits = [
        key for key in lexicon.keys if key[0] == core[0] and len(key) == len(core) and pattern.fullmatch(key)
    ]
    if not fits:
        fits = [key for key in lexicon.keys if key[0] == core[0] and len(key) > 4 and pattern.fullmatch(key)]
    return min(fits, key=lambda key: (len(key), key)) if fits else ""


def _spaced(reading: Reading, swaps: list[tuple[int, int, tuple[str, ...]]], lexicon: Lexicon) -> None:
    """Runs of single letters ("k i l l") read as words."""
    words = reading.words
    at = 0
    count = len(words)
    while at < count:
        if len(words[at]) != 1:
            at += 1
            continue
        end = at
        while end < count and len(words[end]) == 1 and end - at < MAX_JOINED:
            end += 1
        if end - at >= 3:
            letters = "".join(words[at:end]).translate(_LEET).replace("1", "i")
            parts = _wide_gaps(reading, at, end, lexicon)
            if parts:
                swaps.append((at, end, parts))
            elif letters.isalpha():
                whole = letters in lexicon.known or letters in lexicon.plain
                parts = (letters,) if whole else _apart(letters, lexicon, spaced=True)
                if not parts and end - at > 3 and letters[0] in "ia":
                    rest = letters[1:]
                    if rest in lexicon.known:
                        parts = (letters[0], rest)
                if not parts:
                    close = _close(letters, lexicon) if len(letters) >= 6 else ()
                    parts = close[:1]
                if parts:
                    swaps.append((at, end, parts))
        at = end


def _wide_gaps(reading: Reading, start: int, end: int, lexicon: Lexicon) -> tuple[str, ...]:
    """Words of a spaced-out run whose own gaps are wider ("h e  h i t s  m e"), when all are words."""
    words = [""]
    for at in range(start, end):
        if at > start and reading.starts[at] - reading.ends[at - 1] > 1:
            words.append("")
        words[-1] += reading.words[at]
    if len(words) == 1 or len(words) > (end - start) // 2 + 1:
        return ()
    out: list[str] = []
    for word in words:
        if len(word) > 1 and word not in lexicon.known and word not in lexicon.plain:
            opened = lexicon.expand.get(word) or _close(word, lexicon)[:1]
            if not opened:
                return ()
            out.extend(opened)
        else:
            out.append(word)
    return tuple(out)


_DICTATED = frozenset(
    (("question", "mark"), ("exclamation", "point"), ("exclamation", "mark"), ("new", "line"),
     ("full", "stop"),     ("end", "quote"), ("signo", "de"), ("punto", "final"))
)  # fmt: skip


def _dictated(reading: Reading, swaps: list[tuple[int, int, tuple[str, ...]]]) -> None:
    """Punctuation that a phone wrote out: "comma", "period", "question mark"."""
    words = reading.words
    found = [(at, at + 2) for at in range(len(words) - 1) if (words[at], words[at + 1]) in _DICTATED]
    found += [(at, at + 1) for at, word in enumerate(words) if word in ("comma", "coma")]
    periods = [at for at, word in enumerate(words) if word == "period" and at]
    if periods and (found or len(periods) > 1 or periods[-1] == len(words) - 1):
        found += [(at, at + 1) for at in periods]
    swaps.extend((start, end, ()) for start, end in found)


def _swapped(reading: Reading, swaps: list[tuple[int, int, tuple[str, ...]]], lexicon: Lexicon) -> Reading:
    """The reading with each swap made; where two overlap the longer wins."""
    chosen: list[tuple[int, int, tuple[str, ...]]] = []
    busy: set[int] = set()
    for start, end, parts in sorted(swaps, key=lambda s: (s[0] - s[1], s[0])):
        span = range(start, end)
        if not busy.intersection(span):
            busy.update(span)
            chosen.append((start, end, parts))
    chosen.sort()
    out = Reading()
    at = 0
    broken = 0
    for start, end, parts in [*chosen, (len(reading.words), len(reading.words), ())]:
        for index in range(at, start):
            others = reading.alts.get(index)
            if others:
                out.alts[len(out.words)] = others
            out.words.append(reading.words[index])
            out.starts.append(reading.starts[index])
            out.ends.append(reading.ends[index])
            out.breaks.append(max(reading.breaks[index], broken))
            broken = 0
        for number, part in enumerate(parts):
            out.words.append(part)
            out.starts.append(reading.starts[start])
            out.ends.append(reading.ends[end - 1])
            out.breaks.append(max(reading.breaks[start], broken) if not number else 0)
            broken = 0
        if end > start and not parts:
            broken = STRONG
        at = end
    return out


def language(text: str, readings: list[Reading], lexicon: Lexicon) -> str:
    """en, es or und, by function words and letters that only one of them has."""
    english = spanish = 0
    for word in readings[-1].words[:400]:
        english += word in lexicon.english
        spanish += word in lexicon.spanish
    head = text[:2000].lower()
    spanish += sum(2 for mark in "ñ¿¡" if mark in head) + sum(1 for mark in "áéíóú" if mark in head)
    if spanish > english:
        return "es"
    return "en" if english else "und"
