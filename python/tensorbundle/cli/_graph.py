"""``tensorbundle graph``: what a graph holds, its nodes, functions and scopes."""

from __future__ import annotations

import argparse

from tensorbundle.cli import _patterns, _storage, _text

DESCRIPTION = f"""\
Show what a graph holds: ops, placeholders, outputs, constants, collections,
savers, and what is wrong with it (then the exit code is 1). No op need be known.

--op, --name, --inputs-of and --outputs-of list the nodes that all of them fit;
--name of one node shows all about it.

In JSON, an attribute is what it is: a string its UTF-8 (bytes that are not UTF-8
are lone surrogates, as in `cat --json`), a type its name, a shape a list with
null for an unknown dimension, or null; a tensor {"dtype", "shape"}, and "values"
if those are 16 at most; a function {"function", "attrs"}; what the caller of a
function gives {"placeholder"}; what is damaged {"error"}.

{_text.PATTERN_HELP}
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "graph",
        help="show a graph (.meta, SavedModel, .pb): ops, nodes, functions, constants",
        description=DESCRIPTION,
        epilog=_text.examples(
            "graph run/model.ckpt-1000.meta",
            "graph run --op MatMul --op 'Conv*'",
            "graph run --name dense/MatMul",
            "graph saved_model --function '__inference_call_12'",
            "graph run --inputs-of softmax --dot | dot -Tsvg > softmax.svg",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", metavar="PATH", help=_text.GRAPH_HELP)
    add("--tags", metavar="TAG,TAG", help="which graph of a SavedModel")
    add("--function", metavar="NAME", help="look into this function instead")
    add("--op", metavar="PATTERN", action="append", help="nodes of these ops")
    add("-n", "--name", metavar="PATTERN", action="append", help="nodes of these names")
    add("--inputs-of", metavar="NAME", action="append", help="nodes that this one depends on")
    add("--outputs-of", metavar="NAME", action="append", help="nodes that depend on this one")
    add("-d", "--depth", metavar="N", type=_patterns.depth, help="with --scopes: only N levels")
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--functions", action="store_true", help="list the functions")
    view.add_argument("--scopes", action="store_true", help='name scopes ("/") with subtotals')
    view.add_argument("--dot", action="store_true", help="the nodes, or all, in the DOT language")
    add("--json", action="store_true", help="one JSON document, with all that is known")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tensorbundle.cli import _source

    selects = bool(args.op or args.name or args.inputs_of or args.outputs_of)
    _check(args, selects)
    meta = _source.open_graph(*_storage.located(args, args.path), _source.tags(args.tags))
    graph = meta.graph
    if args.function is not None:
        function = graph.functions.get(args.function)
        if function is None:
            raise _text.CommandError(
                f"no function {args.function!r}: "
                f"--functions lists the {len(graph.functions):,} of this graph"
            )
        graph = function.graph
    if args.functions or args.scopes:
        from tensorbundle.cli import _graph_parts

        if args.functions:
            return _graph_parts.functions(meta, as_json=args.json)
        return _graph_parts.scopes(meta, graph, args.depth, as_json=args.json)
    if selects or args.dot:
        from tensorbundle.cli import _graph_nodes

        return _graph_nodes.show(args, meta, graph)
    from tensorbundle.cli import _graph_summary

    return _graph_summary.show(meta, graph, as_json=args.json)


def _check(args: argparse.Namespace, selects: bool) -> None:
    if args.depth is not None and not args.scopes:
        raise _text.CommandError("--depth goes with --scopes")
    if args.dot and args.json:
        raise _text.CommandError("--dot and --json are two formats: give one")
    if selects and (args.functions or args.scopes):
        raise _text.CommandError(
            "--functions and --scopes are about the whole graph: "
            "they do not go with --op, --name, --inputs-of, --outputs-of"
        )
    if args.functions and args.function is not None:
        raise _text.CommandError("--functions lists all functions, --function looks into one")
