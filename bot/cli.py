"""The `interlock` command. It imports the bot's libraries only when a command needs them."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from runner import __version__

USAGE_ERROR = 2
CONFIGURATION_ERROR = 3
HIGHEST_PORT = 65535
MOST = 100_000
OF_THE_RUNNER = frozenset({"config"})
"""Commands that need no library of the bot's."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 it did not hold, 2 usage, 3 configuration."""
    try:
        return _main(argv)
    except KeyboardInterrupt:
        return 130


def _main(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.command is None:
        _parser().print_help()
        return USAGE_ERROR
    needs_bot = arguments.command not in OF_THE_RUNNER
    if needs_bot and (importlib.util.find_spec("dbos") is None or importlib.util.find_spec("starlette") is None):
        print(  # noqa: T201 - the command's own output.
            "interlock: this is the runner alone; the bot needs: pip install 'interlock[bot]'"
            " (in a clone of Interlock: pip install '.[bot]')",
            file=sys.stderr,
        )
        return CONFIGURATION_ERROR
    return int(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interlock", description="A GitHub App that runs test boxes which have proved that they can fail."
    )
    parser.add_argument("--version", action="version", version=f"interlock {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_serve(commands)
    _add_setup(commands)
    _add_doctor(commands)
    _add_config(commands)
    _add_command(commands)
    _add_deploys(commands)
    _add_demo(commands)
    _add_localhub(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="run the bot; settings come from INTERLOCK_* and interlock.toml")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=_port, default=8080, help="port to listen on (default: %(default)s)")
    serve.set_defaults(run=_serve)


def _add_setup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    setup = commands.add_parser("setup", help="register the App on GitHub, and see that its webhooks arrive")
    setup.add_argument("--url", default="", help="where GitHub reaches this machine (default: INTERLOCK_PUBLIC_URL)")
    setup.add_argument("--org", default="", metavar="NAME", help="organization that shall own the App (default: you)")
    setup.add_argument("--github", default="", metavar="URL", help="another GitHub (default: https://github.com)")
    setup.add_argument(
        "--tier",
        choices=("observe", "operate", "deploy"),
        default="operate",
        help="what the App may do: report checks, also hear commands, also hold deployments (default: %(default)s)",
    )
    setup.add_argument("--name", default="", help="name of the App (default: made from the URL)")
    setup.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    setup.add_argument("--port", type=_port, default=8080, help="port to listen on (default: %(default)s)")
    setup.add_argument("--data-dir", default="", metavar="DIR", help="the bot's (default: INTERLOCK_DATA_DIR)")
    setup.add_argument("--public", action="store_true", help="open the page by way of the URL, not of this machine")
    setup.add_argument("--no-browser", action="store_true", help="print the page's address only")
    setup.add_argument("--replace", action="store_true", help="put a new App's credentials in place of those there")
    setup.set_defaults(run=_setup)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser("doctor", help="see what keeps pull requests from their checks, and what mends it")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=_doctor)


def _add_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    config = commands.add_parser("config", help="check or explain a repository's configuration, or print its schema")
    config.add_argument("what", choices=("check", "explain", "schema"), help="what to do")
    config.add_argument("path", nargs="?", default=".", help="the repository, or a file to check (default: here)")
    config.add_argument("--json", action="store_true", help="print one JSON document")
    config.add_argument(
        "--default-config",
        default="",
        metavar="FILE",
        help="the configuration of a repository that has none of its own",
    )
    config.set_defaults(run=_config)


def _add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    give = commands.add_parser("command", help="give the bot on this machine a command, as a comment would")
    give.add_argument("subject", metavar="OWNER/NAME[#N]", help="the pull request, or the repository")
    give.add_argument("text", metavar="COMMAND", help="one command, such as '/boxes rerun failed'; '/help' lists them")
    give.add_argument("--url", default="http://127.0.0.1:8080", help="where the bot listens (default: %(default)s)")
    give.add_argument("--json", action="store_true", help="print the answer as one JSON document")
    give.add_argument("--data-dir", default="", metavar="DIR", help="the bot's (default: INTERLOCK_DATA_DIR)")
    give.set_defaults(run=_command)


def _add_deploys(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    deploys = commands.add_parser("deploys", help="list deployments, show one, or see that no record was changed")
    deploys.add_argument("what", choices=("list", "show", "verify"), help="what to do")
    deploys.add_argument("number", nargs="?", default="", metavar="N", help="the deployment to show")
    deploys.add_argument("--repo", default="", metavar="OWNER/NAME", help="only those of a repository")
    deploys.add_argument("--environment", default="", metavar="NAME", help="only those of an environment")
    deploys.add_argument(
        "--limit", type=_count, default=100, metavar="N", help="so many at most (default: %(default)s)"
    )
    deploys.add_argument("--json", action="store_true", help="print one JSON document")
    deploys.add_argument("--svg", default="", metavar="FILE", help="write what the watch has seen as a picture")
    deploys.add_argument("--data-dir", default="", metavar="DIR", help="the bot's (default: INTERLOCK_DATA_DIR)")
    deploys.set_defaults(run=_deploys)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser("demo", help="see the whole product work on this machine, without an account")
    demo.add_argument("--keep", action="store_true", help="leave everything up at the end, with its addresses")
    demo.add_argument("--json", action="store_true", help="print one JSON document instead of the story")
    demo.set_defaults(run=_demo)


def _add_localhub(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    hub = commands.add_parser("localhub", help="a GitHub on this machine, for trying things out")
    hub.add_argument("--port", type=_port, default=0, help="port to listen on (default: a free one)")
    hub.add_argument("--state", default="", metavar="DIR", help="keep state here; without it, state is forgotten")
    hub.add_argument("--seed", default="", metavar="FILE", help="YAML with the users and repositories to begin with")
    hub.add_argument("--webhook-url", default="", metavar="URL", help="where to send webhooks")
    hub.set_defaults(run=_localhub)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= HIGHEST_PORT):
        message = f"a port is a number from 0 to {HIGHEST_PORT}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST):
        message = f"a number from 1 to {MOST}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    from bot.app import serve  # noqa: PLC0415 - the bot's libraries take half a second to import.

    return serve(host=arguments.host, port=arguments.port)


def _setup(arguments: argparse.Namespace) -> int:
    from bot.commands.setup import setup  # noqa: PLC0415 - as above.

    return setup(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from bot.commands.doctor import doctor  # noqa: PLC0415 - as above.

    return doctor(arguments)


def _config(arguments: argparse.Namespace) -> int:
    from bot.commands.config import config  # noqa: PLC0415 - as above.

    return config(arguments)


def _command(arguments: argparse.Namespace) -> int:
    from bot.commands.command import command  # noqa: PLC0415 - as above.

    return command(
        subject=arguments.subject,
        text=arguments.text,
        url=arguments.url,
        as_json=arguments.json,
        data_dir=arguments.data_dir,
    )


def _deploys(arguments: argparse.Namespace) -> int:
    from bot.commands.deploys import deploys  # noqa: PLC0415 - as above.

    return deploys(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from bot.commands.demo import demo  # noqa: PLC0415 - as above.

    return demo(keep=arguments.keep, as_json=arguments.json)


def _localhub(arguments: argparse.Namespace) -> int:
    from bot.localhub.main import serve  # noqa: PLC0415 - as above.

    return serve(
        port=arguments.port,
        state_dir=arguments.state or None,
        seed_file=arguments.seed or None,
        webhook_url=arguments.webhook_url or None,
    )


if __name__ == "__main__":
    sys.exit(main())
