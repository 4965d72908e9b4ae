"""What the static checks share: C++ text without its comments and literals, every character still in its place."""
import re

_SKIP = re.compile(
    r"""//[^\n]*                                   # a comment to the end of the line
      | /\*.*?\*/                                  # a comment between marks
      | R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"   # a raw string
      | "(?:\\.|[^"\\\n])*"                        # a string
      | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'        # a character (not a digit separator)
    """,
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)


def _blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def without_comments_and_literals(text):
    return _SKIP.sub(_blank, text)


def without_directives(text):
    return _DIRECTIVE.sub(_blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1
