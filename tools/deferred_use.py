"""Two rules of check-coroutines: Deferreds that are dropped, and captures by reference in what runs later."""
import re

# Functions of Bine whose Deferred is the reason for calling them.
LIBRARY = {"connectFactory", "connectProtocol", "deferLater", "deferToThread", "deferredList", "drained", "ensureDeferred", "finger",
           "fireOnOneCallback", "gatherResults", "maybeDeferred", "race", "retry"}
# Functions that are called for what they do; whether to wait for the end is the caller's choice.
MAY_BE_DROPPED = {"chainDeferred", "deferred", "disownServiceParent", "start", "stopListening", "stopService"}
# Functions of Bine that keep a callable beyond the call.
KEEPS = {"addBoth", "addCallback", "addCallbacks", "addErrback", "callFromThread", "callInThread", "callLater", "callWhenRunning", "deferLater",
         "deferToThread"}
# Functions that return when the loop has run: what stands around their call lives as long as the callbacks.
RUNS_THE_LOOP = {"run", "exec", "iterate", "dispatch", "react", "advance", "pump", "runUntilDone"}
OTHER_TYPES = {"void", "bool", "int", "auto"}
CONTROL = {"if", "for", "while", "switch"}
NAME = re.compile(r"[A-Za-z_]\w*$")
LIVES_LONG = re.compile(r"\w*(Reactor|Clock)$")


def closing_angle(tokens, opener):
    """Index of the > that belongs to the < at `opener`, or None."""
    depth = 0
    for i in range(opener, len(tokens)):
        depth += (tokens[i] == "<") - (tokens[i] == ">")
        if depth == 0:
            return i
        if tokens[i] in ";{}":
            return None
    return None


def declared_functions(sources):
    """The names of functions that are declared to return a Deferred, less those that others of the same name do not."""
    deferred, others = set(), set()
    for source in sources:
        tokens = source.tokens
        for i, token in enumerate(tokens):
            if token in ("Deferred", "NamedDeferred") and tokens[i + 1:i + 2] == ["<"]:
                end = closing_angle(tokens, i + 1)
                if end is None:
                    continue
                name = end + 1
                while name + 2 < len(tokens) and NAME.match(tokens[name]) and tokens[name + 1] == "::":
                    name += 2
                if name + 1 < len(tokens) and NAME.match(tokens[name]) and tokens[name + 1] == "(" and tokens[name] != "operator":
                    deferred.add(tokens[name])
            elif token in OTHER_TYPES and i + 2 < len(tokens) and NAME.match(tokens[i + 1]) and tokens[i + 2] == "(":
                close = source.partner.get(i + 2)
                arrow = tokens[close + 1:close + 5] if close else []
                (deferred if arrow[:1] == ["->"] and "Deferred" in arrow else others).add(tokens[i + 1])
    return (deferred | LIBRARY) - others - MAY_BE_DROPPED


def begins_statement(source, index):
    """Whether an expression that begins here is a statement of its own."""
    if index == 0:
        return True
    before = source.tokens[index - 1]
    if before == ")":
        opener = source.partner.get(index - 1)
        return opener is not None and opener > 0 and source.tokens[opener - 1] in CONTROL
    return before in (";", "{", "}", "else", "do")


def chain_start(source, index):
    """Where the expression a.b(c)->f begins, of which the name f stands at `index`."""
    while index >= 2 and source.tokens[index - 1] in (".", "->", "::"):
        index -= 2
        while source.tokens[index] in (")", "]") and index in source.partner:
            index = source.partner[index] - 1
    return index


def discarded(source, names):
    """Yields (index, name) of each call whose Deferred is dropped."""
    tokens = source.tokens
    for i, token in enumerate(tokens):
        if token not in names or tokens[i + 1:i + 2] != ["("]:
            continue
        close = source.partner.get(i + 1)
        if close is not None and tokens[close + 1:close + 2] == [";"] and begins_statement(source, chain_start(source, i)):
            yield i, token


def lambda_at(source, bracket):
    """(captures as lists of tokens, parameter bracket or None, body brace) of the lambda whose [ is at `bracket`, or None."""
    tokens = source.tokens
    before = tokens[bracket - 1] if bracket else ";"
    if re.fullmatch(r"\w+|\)|\]", before) and before not in ("return", "co_return", "co_await", "co_yield"):
        return None
    close = source.partner.get(bracket)
    if close is None or tokens[close - 1:close] == ["["] or tokens[bracket + 1] == "[":
        return None
    captures, current = [], []
    for i in source.inside(bracket):
        if tokens[i] == ",":
            captures.append(current)
            current = []
        else:
            current.append(tokens[i])
    captures.append(current)
    i, parameters = close + 1, None
    while i < len(tokens) and tokens[i] not in ("{", ";", ")"):
        if tokens[i] == "(":
            parameters = parameters or i
            i = source.partner.get(i, i)
        i += 1
    return (captures, parameters, i) if i < len(tokens) and tokens[i] == "{" else None


def declared_names(source, begin, end):
    """name -> tokens of its type, for what looks like a declaration between two indices: parameters and local variables."""
    tokens, names = source.tokens, {}
    for i in range(begin + 1, end):
        if not NAME.match(tokens[i]) or tokens[i + 1] not in (";", "=", "{", ",", ")", "(", ":", "["):
            continue
        first = i
        while first > begin + 1 and tokens[first - 1] not in (";", "{", "}", "(", ")", ",", "=", "return", "co_return", "co_await", "new", "delete", ".", "->"):
            first -= 1
        kind = tokens[first:i]
        if kind and kind[-1] != "::" and all(re.fullmatch(r"\w+|::|<|>|&|&&|\*|,", t) for t in kind) and NAME.match(kind[0]):
            names.setdefault(tokens[i], kind)
    return names


def lives_long(kind):
    """Whether a reference to what is declared like this may be kept: it names a reactor or a clock, or it is static."""
    return "static" in kind or (any(LIVES_LONG.match(t) for t in kind) and "&" in kind)


def captured(source, bracket, found):
    """The local variables that the lambda captures by reference."""
    captures, parameters, body = found
    brace, outer = source.function_of(bracket)
    if brace is None:
        return []
    around = declared_names(source, outer if outer is not None else brace, bracket)
    own = declared_names(source, parameters, source.partner.get(parameters, parameters)) if parameters is not None else {}
    names = []
    for capture in captures:
        if capture == ["&"]:
            names += [source.tokens[i] for i in range(body, source.partner.get(body, body))
                      if source.tokens[i - 1] not in (".", "->", "::") and source.tokens[i] not in own]
        elif len(capture) > 1 and capture[0] == "&":
            names.append(capture[3] if capture[2:3] == ["="] and len(capture) == 4 else capture[1])
    return sorted({name for name in names if name in around and not lives_long(around[name])})


def is_coroutine(source, body):
    end = source.partner.get(body, body)
    return any(source.tokens[i] in ("co_await", "co_return", "co_yield") and source.function_of(i)[0] == body for i in range(body, end))


def outlived(source):
    """Yields (index, kind, names) of each lambda that refers to locals which may be gone when it runs: kind is "coroutine" or the function that keeps it."""
    tokens = source.tokens
    for i, token in enumerate(tokens):
        if token != "[":
            continue
        found = lambda_at(source, i)
        names = captured(source, i, found) if found else []
        if not names:
            continue
        brace, _ = source.function_of(i)
        end = source.partner.get(brace, len(tokens))
        if any(tokens[k] in RUNS_THE_LOOP and tokens[k + 1:k + 2] == ["("] for k in range(source.partner.get(found[2], i), end)):
            continue
        opener = source.parent[i]
        keeper = tokens[opener - 1] if opener and tokens[opener] == "(" else ""
        first, _ = source.statement(i)
        awaited = "co_await" in tokens[first:i]
        if keeper in KEEPS and not awaited:
            yield i, keeper, names
        elif is_coroutine(source, found[2]) and keeper not in KEEPS and not awaited:
            yield i, "coroutine", names
