"""Which task a name, a label or a file's stem speaks of, by the assignment's names and aliases."""

import re
from collections.abc import Iterable, Mapping

from grader.intake.headings import folded, read_heading
from grader.model import Assignment, Heading

_WORDS = re.compile(
    r"[A-ZА-ЯЁ]+(?=[A-ZА-ЯЁ][a-zа-яё])|[A-ZА-ЯЁ]?[a-zа-яё]+|[A-ZА-ЯЁ]+|[0-9]+|[^\W\d_]+"
)
# Words that may stand beside an alias without changing what is meant.
_NEUTRAL = frozenset(
    """
    a an the my our is this it of for with by new final model net network nn class cls func fn
    function module layer n m f g gate op operator operation logic logical bool boolean
    neuron neurons perceptron answer solution result table truth test check task homework hw
    submission sub student team lab
    мой моя для это оператор оператора оператору операция операции логический логическое
    логического нейрон нейрона нейроны сеть модель класс функция слой ответ решение результат
    таблица истинности тест проверка задача задание
    """.split()  # noqa: SIM905  # a list of words is read more easily as text
)
_LABEL_CHARACTERS = 80
_NUMBER_STEM = re.compile(r"\d{1,3}\Z")

Tasks = tuple[str, ...]


_kept: list[tuple[Assignment, "Labels"]] = []


def labels_of(assignment: Assignment) -> "Labels":
    """Return the labels of an assignment, made once for all submissions of a class."""
    if not _kept or _kept[0][0] is not assignment:
        _kept[:] = [(assignment, Labels(assignment))]
    return _kept[0][1]


def words_of(text: str) -> list[str]:
    """Return the words of a name or a label as written: ``NeuronAND`` is Neuron, AND."""
    return _WORDS.findall(text)


class Labels:
    """Finds the tasks that names, labels and stems speak of; several mean: unclear between them."""

    def __init__(self, assignment: Assignment) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._by_alias: dict[tuple[str, ...], list[str]] = {}
        self._by_heading: Mapping[Heading, list[str]] = {}
        headings: dict[Heading, list[str]] = {}
        for task in assignment.tasks:
            for name in task.names:
                self._by_name.setdefault(name, []).append(task.id)
            for alias in task.aliases:
                if words := tuple(folded(word) for word in words_of(alias)):
                    owners = self._by_alias.setdefault(words, [])
                    if task.id not in owners:
                        owners.append(task.id)
            for heading in task.headings:
                headings.setdefault(heading, []).append(task.id)
        self._by_heading = headings
        self._longest = max(map(len, self._by_alias), default=0)

    def of_name(self, name: str) -> Tasks:
        """Return the tasks that a bound name speaks of."""
        if name in self._by_name:
            return tuple(self._by_name[name])
        return self._of_words([folded(word) for word in words_of(name)], strict=True)

    def of_stem(self, stem: str, *, strict: bool = False) -> Tasks:
        """Return the tasks that a file's stem speaks of: ``task3``, ``03``, ``neuron_xor``.

        With `strict` other words may not stand beside the task's: ``petrov_and_ivanova`` is none.
        """
        spaced = " ".join(words_of(stem))
        if _NUMBER_STEM.match(spaced):
            return tuple(self._by_heading.get(Heading("task", int(spaced)), ()))
        heading = read_heading(spaced)
        if heading and heading.number is not None:
            by_number = self._by_heading.get(Heading(heading.kind, heading.number), [])
            if len(by_number) == 1:
                return tuple(by_number)
        if stem in self._by_name:
            return tuple(self._by_name[stem])
        return self._of_words([folded(word) for word in words_of(stem)], strict=strict)

    def of_label(self, line: str) -> Tasks:
        """Return the tasks that a printed label, a comment or a line of text speaks of.

        An alias must be all that the line says, or be written in capitals, since `and` and `не`
        are words of any text.
        """
        text = line.strip()
        if not text or len(text) > _LABEL_CHARACTERS:
            return ()
        heading = read_heading(text)
        if heading and heading.number is not None:
            by_number = self._by_heading.get(Heading(heading.kind, heading.number), [])
            return tuple(by_number) if len(by_number) == 1 else ()
        label = words_of(re.split(r"[:=]", text, maxsplit=1)[0])
        alone = self._of_words([folded(word) for word in label], strict=True)
        return alone or self._of_capitals(words_of(text))

    def of_title(self, title: str) -> Tasks:
        """Return the tasks of a title that says nothing else: the ``AND`` of ``Task 2: AND``."""
        if len(title) > _LABEL_CHARACTERS:
            return ()
        return self._of_words([folded(word) for word in words_of(title)], strict=True)

    def _of_capitals(self, words: list[str]) -> Tasks:
        found = {
            tuple(self._by_alias[(folded(word),)])
            for place, word in enumerate(words)
            if word.isupper() and (len(word) > 1 or place > 0) and (folded(word),) in self._by_alias
        }
        return found.pop() if len(found) == 1 else ()

    def _of_words(self, words: list[str], *, strict: bool) -> Tasks:
        """Return the tasks of the longest alias among `words`; `strict` allows no other words."""
        for length in range(min(self._longest, len(words)), 0, -1):
            found: list[str] = []
            for start in range(len(words) - length + 1):
                alias = tuple(words[start : start + length])
                rest = words[:start] + words[start + length :]
                if alias in self._by_alias and (not strict or _are_neutral(rest)):
                    found += self._by_alias[alias]
            if found:
                return tuple(dict.fromkeys(found))
        return ()


def _are_neutral(words: Iterable[str]) -> bool:
    return all(word in _NEUTRAL or word.isdigit() for word in words)
