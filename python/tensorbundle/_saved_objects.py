"""The objects that a SavedModel of TensorFlow 2 restores, and their functions (FORMAT 9.2)."""

from __future__ import annotations

from ._structures import fields_of, items_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._meta_graph import MetaGraph
    from ._native import Function, Message

_LONG = 64  # names: a path of all could be as long as the file, for each object of it


class SavedObject:
    """An object: a node of the SavedObjectGraph."""

    __slots__ = ("_all", "message", "number")

    def __init__(self, number: int, message: Message, every: SavedObjects) -> None:
        """They come from :attr:`SavedModel.objects`."""
        self.number = number
        """Its number in the file."""
        self.message = message
        """What the file says of it: a SavedObject."""
        self._all = every

    @property
    def path(self) -> str | None:
        """The names that lead to it from the root, joined with ``/``: the first shortest way.

        ``""`` for the root; ``None`` if none leads to it. Escaped as in the keys of checkpoints. Of
        more than 64 names, which no model has, the last, behind ``…``.
        """
        return self._all.path_of(self.number)

    @property
    def kind(self) -> str:
        """What it is.

        ``"user_object"``, ``"variable"``, ``"function"``, ``"bare_concrete_function"``,
        ``"asset"``, ``"constant"``, ``"resource"``, ``"captured_tensor"``; ``""`` if the file does
        not say.
        """
        return self.message.which("kind") or ""

    @property
    def content(self) -> Message | None:
        """What the file says of an object of its kind: a SavedVariable, a SavedFunction, …"""
        found: Message | None = self.message[self.kind] if self.kind else None
        return found

    @property
    def children(self) -> dict[str, SavedObject]:
        """The objects that it refers to, by name."""
        numbers = self._all.children_of(self.message)
        return {name: self._all[number] for name, number in numbers}

    @property
    def name(self) -> str:
        """What it is called in the file.

        The name of a variable, the operation of a constant, the tensor that is captured, the class
        of a user's object, the function of a concrete one; ``""`` for others.
        """
        names = {
            "variable": "name",
            "constant": "operation",
            "captured_tensor": "name",
            "user_object": "identifier",
            "bare_concrete_function": "concrete_function_name",
        }
        field, content = names.get(self.kind), self.content
        return "" if field is None or content is None else str(content[field])

    @property
    def version(self) -> int | None:
        """Of a user's object, the version of its class; ``None`` for any other."""
        content = self.content
        if self.kind != "user_object" or content is None or content["version"] is None:
            return None
        producer: int = content["version"]["producer"]
        return producer

    @property
    def concrete_functions(self) -> tuple[str, ...]:
        """Of a function, the names of what it was traced to; of a concrete function its own."""
        content = self.content
        if content is not None and self.kind == "function":
            names: tuple[str, ...] = content["concrete_functions"]
            return names
        return (self.name,) if self.kind == "bare_concrete_function" else ()

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<tensorbundle.SavedObject {self.path!r} {self.kind}{name}>"


class ConcreteFunction:
    """A function for arguments of certain types: its body is a function of the graph."""

    __slots__ = ("_all", "_of", "message", "name")

    def __init__(self, name: str, message: Message, every: SavedObjects) -> None:
        """They come from :attr:`SavedModel.concrete_functions`."""
        self.name = name
        """The name of its body."""
        self.message = message
        """What the file says of it: a SavedConcreteFunction."""
        self._all = every
        self._of = every.function_of(name)

    @property
    def path(self) -> str | None:
        """The path of the object that it belongs to; ``None`` if it belongs to none."""
        return None if self._of is None else self._of.path

    @property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """Its arguments: name, and type or value as it would stand in a Python program.

        Arguments that only keywords can give come last. A name is ``""`` where the file has none.
        """
        given = items_of(self.message["canonicalized_input_signature"])
        values = items_of(given[0]) if given else ()
        names = [] if self._of is None else self._all.arguments_of(self._of)[: len(values)]
        names += [""] * (len(values) - len(names))
        keywords = sorted(fields_of(given[1]).items()) if len(given) > 1 else []
        pairs = [*zip(names, values, strict=True), *keywords]
        return tuple((name, text_of(value)) for name, value in pairs)

    @property
    def returns(self) -> str:
        """What it gives, as it would stand in a Python program."""
        return text_of(self.message["output_signature"])

    @property
    def bound_inputs(self) -> tuple[SavedObject | None, ...]:
        """The objects that it captures: its last arguments in the graph.

        ``None`` for a number that no object has.
        """
        numbers: tuple[int, ...] = self.message["bound_inputs"]
        return tuple(self._all[i] if 0 <= i < len(self._all) else None for i in numbers)

    @property
    def function(self) -> Function | None:
        """Its body; ``None`` if the graph does not have it."""
        return self._all.graph.graph.functions.get(self.name)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}: {text}" if name else text for name, text in self.arguments)
        return f"<tensorbundle.ConcreteFunction {self.name!r} ({arguments})>"


class SavedObjects:
    """All objects of a graph; made by :attr:`SavedModel.objects`."""

    __slots__ = ("_arguments", "_functions", "_nodes", "_parents", "graph", "message")

    def __init__(self, graph: MetaGraph, message: Message) -> None:
        """Goes over all objects once."""
        self.graph = graph
        self.message = message
        self._nodes: tuple[Message, ...] = message["nodes"]
        self._parents = self._walk()
        self._functions: dict[str, int] | None = None
        self._arguments: dict[int, list[str]] = {}

    def _walk(self) -> dict[int, tuple[int, str]]:
        """For each object the one that leads to it, and under which name.

        Breadth first, each object once: there are cycles.
        """
        parents = {0: (0, "")} if self._nodes else {}
        waiting = list(parents)
        for number in waiting:  # grows on the way
            for name, child in self.children_of(self._nodes[number]):
                if child not in parents:
                    parents[child] = (number, name)
                    waiting.append(child)
        return parents

    def path_of(self, number: int) -> str | None:
        """The names that lead to an object."""
        if number not in self._parents:
            return None
        names: list[str] = []
        while number:
            if len(names) == _LONG:
                names.append("…")
                break
            number, name = self._parents[number]
            names.append(name.replace(".", "..").replace("/", ".S"))
        return "/".join(reversed(names))

    def children_of(self, message: Message) -> list[tuple[str, int]]:
        """Names and numbers; numbers that no object has are left out."""
        found = ((child["local_name"], child["node_id"]) for child in message["children"])
        return [(name, i) for name, i in found if 0 <= i < len(self._nodes)]

    def function_of(self, name: str) -> SavedObject | None:
        """The object that a concrete function belongs to."""
        if self._functions is None:
            self._functions = {}
            # A function has its name and its arguments; what it was traced to lies below it.
            for kind in ("function", "bare_concrete_function"):
                for one in self:
                    if one.kind == kind:
                        for traced in one.concrete_functions:
                            self._functions.setdefault(traced, one.number)
        number = self._functions.get(name)
        return None if number is None else self[number]

    def arguments_of(self, one: SavedObject) -> list[str]:
        """The names of the positional arguments of a function; many may share them."""
        found = self._arguments.get(one.number)
        if found is None:
            spec = None if one.content is None else one.content["function_spec"]
            found = []
            if spec is not None:
                texts = items_of(fields_of(spec["fullargspec"]).get("args"))
                found = [str(text["string_value"]) for text in texts]
                found = found[1:] if spec["is_method"] else found
            self._arguments[one.number] = found
        return found

    def concrete_functions(self) -> dict[str, ConcreteFunction]:
        """All concrete functions, in the order of their names."""
        found = sorted(self.message["concrete_functions"].items())
        return {name: ConcreteFunction(name, message, self) for name, message in found}

    def __getitem__(self, number: int) -> SavedObject:
        return SavedObject(number, self._nodes[number], self)

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[SavedObject]:
        return (self[number] for number in range(len(self)))
