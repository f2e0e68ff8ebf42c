"""The `fairtrial` command itself: its verbs, found by name and imported late, and what ends it."""

from __future__ import annotations

import difflib
import errno
import importlib
from typing import Any

import click

from fairtrial.cli.failure import report_bug, report_error
from fairtrial.errors import ExitCode, FairtrialError

#: In the order of use. `fairtrial.cli.<verb>` defines `command`, a click command whose callback
#: returns an ExitCode, or nothing for 0. The help is here so that listing verbs imports none of them.
VERBS = {
    "demo": "From nothing to a verdict: write a project, train its models, run it.",
    "init": "Write an example project to start from.",
    "validate": "Check experiments, pipelines and SeldonDeployments; tells every mistake at once.",
    "schema": "Print the JSON Schema of experiment or pipeline files, for editors.",
    "plan": "What a run would deploy, send and judge, and the defaults filled in.",
    "render": "The manifests of an experiment, for GitOps.",
    "run": "Deploy, load, judge, promote or roll back, and say why.",
    "status": "How a run stands.",
    "abort": "Return a run to its baseline and end it.",
    "pause": "Hold an experiment on a cluster where it is.",
    "resume": "Finish a run that was cut off.",
    "approve": "Let a run promote, which waits for a person.",
    "explain": "Why this verdict, and on which rows the candidate loses.",
    "report": "Write the report of a run.",
    "replay": "Judge a finished run again, and compare.",
    "judge": "A verdict from recorded observations, with nothing deployed.",
    "calibrate": "The baseline against itself: how often a verdict would be false here.",
    "serve": "Serve one model, or a SeldonDeployment, on this machine.",
    "load-worker": "Send a share of the load of a run on another machine.",
    "score": "Batch predictions: the rows of a file or table through a model.",
    "scan": "Say whether a model file or folder is safe to load.",
    "pack": "An OCI image with a model in it, without a container engine.",
    "watch": "The closed loop: try what the registry brings, promote, react to alerts.",
    "history": "Which version was in service when, why, and on what evidence.",
    "undo": "Back to the last good version, at once.",
    "collect": "Collect live evidence: Seldon's request log, and feedback by request.",
    "operator": "Run the Experiment resources of a cluster.",
}


class LazyGroup(click.Group):
    """Verbs by name, and the one place where exceptions become sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(
            f"fairtrial.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verbs = self.list_commands(ctx)
        if args and args[0] not in verbs and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], verbs, n=1)
            hint = f'did you mean "{close[0]}"?' if close else "`fairtrial --help` lists the verbs."
            raise click.UsageError(f'there is no verb "{args[0]}"; {hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, VERBS.get(verb, "")) for verb in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            code = super().invoke(ctx)
        except FairtrialError as error:
            report_error(error, ctx)
            code = error.exit_code
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            code = ExitCode.INTERRUPTED
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read our output has left; click ends quietly
            report_bug(error, ctx)
            code = ExitCode.INTERNAL
        ctx.exit(code if isinstance(code, int) else ExitCode.OK)


_EPILOG = (
    "Exit codes: 0 promoted, or nothing wrong; 1 a bug in Fairtrial; 2 bad usage or a bad file; "
    "3 a backend or model not ready; 4 unsafe model; 5 somebody else changed what is on trial; "
    "10 rolled back; 11 inconclusive; 12 aborted; 130 interrupted."
)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
    subcommand_metavar="VERB [ARGS]...",
)
@click.option("--debug", is_flag=True, envvar="FAIRTRIAL_DEBUG", help="Print the traceback of a bug.")
@click.version_option(package_name="fairtrial", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """A fair trial for every model version: A/B tests with verdicts that hold."""
    ctx.meta["fairtrial.debug"] = debug
